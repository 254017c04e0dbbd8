import { Command, CommanderError } from 'commander'
import { isProblem } from '../base/index.ts'
import { type CommonOptions, openCli, type Surroundings } from './cli.ts'
import { type CommandEntry, commandTable, groups, type RunAction } from './command-table.ts'
import { addCommonOptions } from './common-options.ts'
import { reportError } from './report-error.ts'

/**
 * Runs one command line.
 *
 * @param words what follows the program's name
 * @returns the exit code
 */
export async function runCli(words: readonly string[], surroundings: Surroundings): Promise<number> {
  const { terminal, signal } = surroundings
  let code = 0
  const run: RunAction =
    (body) =>
    async (...args) => {
      // commander gives an action its arguments, then its options, then the command itself.
      const cli = openCli(surroundings, commonOptions(args.at(-1) as Command))
      try {
        const result = await body(cli, ...args)
        code = typeof result === 'number' ? result : 0
      } finally {
        cli.close()
      }
    }
  try {
    const program = await buildProgram(words, run, terminal)
    await program.parseAsync(words.length === 0 ? ['--help'] : words, { from: 'user' })
    return code
  } catch (error) {
    // commander has said what it had to say; help that was asked for is no error.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    if (signal.aborted) return interrupted
    reportError(terminal, error)
    return isProblem(error) ? error.exitCode : 1
  }
}

/** As a shell would say that SIGINT ended it. */
const interrupted = 130

/** Before the command's name and after it; the latter counts when both are given. */
function commonOptions(command: Command): CommonOptions {
  return { ...command.optsWithGlobals(), ...command.opts() }
}

/** The program with the one command that is to run fully declared; with every command when it is not known which. */
export async function buildProgram(
  words: readonly string[],
  run: RunAction,
  { stdout, stderr }: Pick<Surroundings['terminal'], 'stdout' | 'stderr'>,
): Promise<Command> {
  const program = new Command('cowshed')
    .description('MicroVM sandboxes whose disks are copy-on-write over OCI images')
    .exitOverride()
    .enablePositionalOptions()
    .configureOutput({ writeOut: (text) => stdout.write(text), writeErr: (text) => stderr.write(text) })
    .helpCommand(false)
  addCommonOptions(program)
  const chosen = chosenEntry(words)
  for (const entry of chosen === undefined ? commandTable : [chosen]) {
    const command = declare(program, entry)
    if (entry === chosen) (await entry.load())(addCommonOptions(command), run, words)
  }
  return program
}

/** Declares every command in full: for the reference and for completion. */
export async function buildWholeProgram(): Promise<Command> {
  const program = new Command('cowshed').enablePositionalOptions()
  for (const entry of commandTable) {
    if (entry.hidden) continue
    const define = await entry.load()
    define(addCommonOptions(declare(program, entry)), () => async () => {}, [])
  }
  return program
}

function chosenEntry(words: readonly string[]): CommandEntry | undefined {
  const [first, second] = withoutLeadingOptions(words)
  if (first === undefined) return undefined
  return commandTable.find(({ name }) => name === first || name === `${first} ${second}`)
}

/** What stands before the command's name can only be common options. */
function withoutLeadingOptions(words: readonly string[]): readonly string[] {
  const [first = ''] = words
  if (!first.startsWith('-')) return words
  return withoutLeadingOptions(words.slice(['--data', '--progress'].includes(first) ? 2 : 1))
}

function declare(program: Command, { name, summary, hidden }: CommandEntry): Command {
  const [first = '', second] = name.split(' ')
  if (second === undefined) return subcommand(program, first, summary, hidden === true)
  const existing = program.commands.find((command) => command.name() === first)
  const group = existing ?? subcommand(program, first, groups[first] ?? '', false).enablePositionalOptions()
  return subcommand(group, second, summary, hidden === true)
}

function subcommand(parent: Command, name: string, summary: string, hidden: boolean): Command {
  return parent.command(name, { hidden }).description(summary).copyInheritedSettings(parent)
}
