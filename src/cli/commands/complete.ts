import type { DefineCommand } from '../command-table.ts'
import { candidates } from '../completion/candidates.ts'

/** Called by the completion scripts with the words up to the cursor, the last of which is being typed. */
export const complete: DefineCommand = (command, run) => {
  command.argument('[words...]').action(
    run(async (cli, words: string[]) => {
      for (const candidate of await candidates(cli, words)) cli.print(`${candidate}\n`)
    }),
  )
}
