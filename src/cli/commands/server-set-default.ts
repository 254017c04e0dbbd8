import { parseName } from '../../base/index.ts'
import type { DefineCommand } from '../define-command.ts'
import { localName } from '../servers/server-book.ts'

export const serverSetDefault: DefineCommand = (command, run) => {
  command
    .argument('<server>', `as it was added; ${localName} is the daemon of this host`, (text) =>
      parseName(text, 'name of a server'),
    )
    .action(
      run(async (cli, name: string) => {
        // One that is not there is not made the default.
        if (name !== localName) await cli.servers.get(name)
        await cli.servers.setDefault(name === localName ? undefined : name)
        if (cli.json) cli.printJson({ default: name })
        else cli.print(`${name} is the default\n`)
      }),
    )
}
