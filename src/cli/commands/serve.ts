import type { DefineCommand } from '../define-command.ts'

export const serve: DefineCommand = (command, run) => {
  command.action(
    run(async (cli) => {
      await cli.serve({ dataDirectory: cli.layout.root, signal: cli.signal })
    }),
  )
}
