import { parseName, printable } from '../../base/index.ts'
import type { DefineCommand } from '../define-command.ts'

export const tokenRevoke: DefineCommand = (command, run) => {
  command
    .argument('<token>', 'its name or id', (text) => parseName(text, 'name of a token'))
    .action(
      run(async (cli, token: string) => {
        const revoked = await cli.api.call('revokeToken', { params: { token } })
        if (cli.json) cli.printJson(revoked)
        else cli.print(`${printable(revoked.name)} revoked\n`)
      }),
    )
}
