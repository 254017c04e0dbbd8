import type { Command } from 'commander'
import type { Cli } from './cli.ts'

/**
 * Declares the arguments and options of a command, and its action through `run`.
 *
 * @param words the command line, for a command whose options depend on it
 */
export type DefineCommand = (command: Command, run: RunAction, words: readonly string[]) => void

/**
 * Makes an action of commander from what a command does: it gets a Cli, then the arguments, then the options, and returns the exit code
 * (anything else means 0).
 */
export type RunAction = <A extends unknown[]>(
  body: (cli: Cli, ...args: A) => Promise<unknown>,
) => (...args: A) => Promise<void>

export interface CommandEntry {
  /** One word, or a group and a word: `image load`. */
  readonly name: string
  readonly summary: string
  /** Loads the command when it is the one to run; all of them would cost a good part of the time in which the CLI must answer. */
  readonly load: () => Promise<DefineCommand>
  /** Not shown in help. */
  readonly hidden?: true
}
