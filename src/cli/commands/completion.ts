import { Argument } from 'commander'
import { completionScripts } from '../completion/scripts.ts'
import type { DefineCommand } from '../define-command.ts'

export const completion: DefineCommand = (command, run) => {
  command.addArgument(new Argument('<shell>', 'the shell').choices(Object.keys(completionScripts))).action(
    run(async (cli, shell: keyof typeof completionScripts) => {
      cli.print(completionScripts[shell])
    }),
  )
}
