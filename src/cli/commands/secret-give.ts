import { parseName } from '../../base/index.ts'
import type { SecretUse } from '../../contract/index.ts'
import type { DefineCommand } from '../define-command.ts'
import { secretUse } from '../options/secret-use.ts'

export const secretGive: DefineCommand = (command, run) => {
  command
    .argument('<shed>', 'its name', (text) => parseName(text, 'shed name'))
    .argument('<use>', 'NAME or NAME:VARIABLE, a variable of what runs in it; NAME:/path, a file', secretUse)
    .action(
      run(async (cli, name: string, use: SecretUse) => {
        const shed = await cli.api.call('giveSecret', { params: { name }, body: use })
        if (cli.json) return cli.printJson(shed)
        cli.print(`${name} is given ${use.secret} as ${use.path ?? use.env}\n`)
        if (use.path !== undefined && shed.status === 'running') cli.notice('it is there from its next start on')
      }),
    )
}

export const secretTake: DefineCommand = (command, run) => {
  command
    .argument('<shed>', 'its name', (text) => parseName(text, 'shed name'))
    .argument('<secret>', 'the name of the secret', (text) => parseName(text, 'name of a secret'))
    .action(
      run(async (cli, name: string, secret: string) => {
        const shed = await cli.api.call('takeSecret', { params: { name, secret } })
        if (cli.json) return cli.printJson(shed)
        cli.print(`${name} is given ${secret} no more\n`)
        if (shed.status === 'running') cli.notice('what runs in it keeps what it has; a file goes with its next stop')
      }),
    )
}
