import type { DefineCommand } from '../define-command.ts'
import { serverName } from './server-add.ts'

export const serverRm: DefineCommand = (command, run) => {
  command.argument('<server>', 'as it was added', serverName).action(
    run(async (cli, name: string) => {
      await cli.servers.remove(name)
      if ((await cli.servers.default()) === name) {
        await cli.servers.setDefault(undefined)
        cli.notice(`it was the default: from now on that is the daemon of this host`)
      }
      if (cli.json) cli.printJson({ name })
      else cli.print(`${name} removed\n`)
      cli.notice(`its token still lets in whoever has it; on the server: cowshed token revoke`)
    }),
  )
}
