import { printable, version } from '../../base/index.ts'
import type { ServerInfo } from '../../contract/index.ts'
import type { Cli } from '../cli.ts'
import type { DefineCommand } from '../define-command.ts'

export const versions: DefineCommand = (command, run) => {
  command.action(
    run(async (cli) => {
      const server = await serverInfo(cli)
      if (cli.json) cli.printJson({ client: { version, node: process.versions.node }, ...(server && { server }) })
      else
        cli.print(
          `cowshed ${version}\n${server === undefined ? '' : `daemon ${printable(server.version)} (pid ${server.pid})\n`}`,
        )
    }),
  )
}

/** The daemon's version, when one runs: asking for a version starts nothing. */
async function serverInfo(cli: Cli): Promise<ServerInfo | undefined> {
  return (await cli.isRunning()) ? await cli.api.call('getInfo', {}) : undefined
}
