import type { Cli } from './cli.ts'
import { confirm } from './confirm.ts'
import type { DefineCommand } from './define-command.ts'
import { forEachShed } from './for-each-shed.ts'
import { collectNames } from './options/collect-names.ts'

interface Options {
  readonly force?: boolean
}

interface Remove {
  /** What are removed: `volumes`. */
  readonly things: string
  /** What --force does besides not asking. */
  readonly forceToo: string
  readonly question: (names: string, areMany: boolean) => string
  readonly remove: (cli: Cli, name: string, query: { readonly force: 'true' | 'false' }) => Promise<unknown>
}

/** A command that removes things by their names, after asking. */
export function defineRemove({ things, forceToo, question, remove }: Remove): DefineCommand {
  return (command, run) => {
    command
      .argument(`<${things}...>`, 'their names', collectNames(`${things.slice(0, -1)} name`))
      .option('-f, --force', `do not ask, and ${forceToo}`)
      .action(
        run(async (cli, names: string[], { force }: Options) => {
          if (!(await confirm(cli, { question: question(names.join(', '), names.length > 1), force }))) return 1
          const query = { force: force === true ? 'true' : 'false' } as const
          const done = (name: string) => `${name} removed`
          return forEachShed(cli, { names, work: (name) => remove(cli, name, query), done })
        }),
      )
  }
}
