import { printable, printableJson } from '../../base/index.ts'
import type { CowshedEvent } from '../../contract/index.ts'
import type { Cli } from '../cli.ts'
import type { DefineCommand } from '../define-command.ts'
import { wholeNumber } from '../options/whole-number.ts'

interface Options {
  readonly follow?: boolean
  readonly after?: number
  readonly tail?: number
}

export const events: DefineCommand = (command, run) => {
  command
    .option('-f, --follow', 'go on with what happens')
    .option('--after <seq>', 'only events after this one', wholeNumber('--after', { min: 0 }))
    .option('-n, --tail <count>', 'only the newest so many (100)', wholeNumber('--tail', { min: 0, max: 10_000 }))
    .action(
      run(async (cli, { follow, after, tail }: Options) => {
        const query = { limit: tail ?? (after === undefined ? 100 : 10_000), ...(after === undefined ? {} : { after }) }
        if (follow === true) {
          for await (const event of cli.api.events('readEvents', { query })) show(cli, event as CowshedEvent)
          return
        }
        const reply = await cli.api.call('readEvents', { query })
        for (const event of reply.events) show(cli, event)
      }),
    )
}

/** With --json one object a line, so that a program can read them as they come. */
function show(cli: Cli, event: CowshedEvent): void {
  const { at, type, subject, message } = event
  cli.print(
    cli.json
      ? `${printableJson(JSON.stringify(event))}\n`
      : `${[at, type, subject, message].map((part) => printable(String(part))).join('  ')}\n`,
  )
}
