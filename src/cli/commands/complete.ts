import { candidates } from '../completion/candidates.ts'
import type { CommandEntry, DefineCommand } from '../define-command.ts'

/** Called by the completion scripts with the words up to the cursor, the last of which is being typed. */
export function completeFrom(commands: readonly CommandEntry[]): DefineCommand {
  return (command, run) => {
    command.argument('[words...]').action(
      run(async (cli, words: string[]) => {
        for (const candidate of await candidates({ cli, commands, words })) cli.print(`${candidate}\n`)
      }),
    )
  }
}
