import { Argument } from 'commander'
import type { DefineCommand } from '../command-table.ts'
import { completionScripts } from '../completion/scripts.ts'

export const completion: DefineCommand = (command, run) => {
  command.addArgument(new Argument('<shell>', 'the shell').choices(Object.keys(completionScripts))).action(
    run(async (cli, shell: keyof typeof completionScripts) => {
      cli.print(completionScripts[shell])
    }),
  )
}
