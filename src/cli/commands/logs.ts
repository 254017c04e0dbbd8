import { parseName } from '../../base/index.ts'
import type { DefineCommand } from '../define-command.ts'
import { wholeNumber } from '../options/whole-number.ts'
import { writeAll } from '../terminal/write-all.ts'

interface Options {
  readonly follow?: boolean
  readonly tail?: number
}

export const logs: DefineCommand = (command, run) => {
  command
    .argument('<shed>', 'its name', (text) => parseName(text, 'shed name'))
    .option('-f, --follow', 'go on with what comes')
    .option('-n, --tail <lines>', 'only the last so many lines', wholeNumber('--tail', { min: 0 }))
    .action(
      run(async (cli, name: string, { follow, tail }: Options) => {
        const query = { follow: follow === true ? 'true' : 'false', ...(tail === undefined ? {} : { tail }) }
        const bytes = await cli.api.download('readLogs', { params: { name }, query })
        await writeAll(cli.terminal.stdout, bytes)
      }),
    )
}
