import { Command, CommanderError } from 'commander'
import { isProblem, Problem, version } from '../base/index.ts'
import { type CommonOptions, openCli, type Surroundings } from './cli.ts'
import { commandTable, groups } from './command-table.ts'
import { addCommonOptions } from './common-options.ts'
import type { CommandEntry, RunAction } from './define-command.ts'
import { type ReportTo, reportError } from './report-error.ts'
import type { Terminal } from './terminal/terminal.ts'
import { withoutLeadingOptions } from './without-leading-options.ts'

/**
 * Runs one command line.
 *
 * @param words what follows the program's name
 * @returns the exit code
 */
export async function runCli(words: readonly string[], surroundings: Surroundings): Promise<number> {
  const { terminal, signal } = surroundings
  const json = wantsJson(words)
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
    const program = await buildProgram({ words, run, terminal, json })
    await program.parseAsync(words.length === 0 ? ['--help'] : words, { from: 'user' })
    return code
  } catch (error) {
    if (error instanceof CommanderError) return reportUsage({ terminal, json }, error)
    if (signal.aborted) return interrupted
    reportError({ terminal, json }, error)
    return isProblem(error) ? error.exitCode : 1
  }
}

/** As a shell would say that SIGINT ended it. */
const interrupted = 130

/** commander has told people already; help that was asked for is no error. */
function reportUsage(to: ReportTo, { exitCode, message }: CommanderError): number {
  if (exitCode === 0) return 0
  // A group or nothing at all: commander's answer is help.
  const what = message === '(outputHelp)' ? 'no command was given' : message.replace(/^error: /, '')
  if (to.json) reportError(to, new Problem('INVALID_REQUEST', what, { hint: usageHint }))
  return 2
}

const usageHint = 'see: cowshed --help'

/** Asked before the command line is understood, because not understanding it is one of the errors. Behind -- are another program's words. */
function wantsJson(words: readonly string[]): boolean {
  const end = words.indexOf('--')
  return words.slice(0, end < 0 ? undefined : end).includes('--json')
}

/** Before the command's name and after it; the latter counts when both are given. */
function commonOptions(command: Command): CommonOptions {
  return { ...command.optsWithGlobals(), ...command.opts() }
}

interface BuildProgram {
  readonly words: readonly string[]
  readonly run: RunAction
  readonly terminal: Pick<Terminal, 'stdout' | 'stderr'>
  readonly json: boolean
}

/** The program with the one command that is to run fully declared; with every command when it is not known which. */
async function buildProgram({ words, run, terminal: { stdout, stderr }, json }: BuildProgram): Promise<Command> {
  const program = new Command('cowshed')
    .description('MicroVM sandboxes whose disks are copy-on-write over OCI images')
    .exitOverride()
    .showHelpAfterError(`hint: ${usageHint}`)
    .enablePositionalOptions()
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => (json ? undefined : stderr.write(text)),
    })
    .helpCommand(false)
    .version(`cowshed ${version}`, '-V, --version', 'print the version')
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

function declare(program: Command, { name, summary, hidden }: CommandEntry): Command {
  const [first = '', second] = name.split(' ')
  if (second === undefined) return subcommand(program, first, summary, hidden === true)
  const existing = program.commands.find((command) => command.name() === first)
  const group =
    existing ??
    subcommand(program, first, groups[first] ?? '', false)
      .enablePositionalOptions()
      .helpCommand(false)
  return subcommand(group, second, summary, hidden === true)
}

function subcommand(parent: Command, name: string, summary: string, hidden: boolean): Command {
  return parent
    .command(name, { hidden })
    .description(summary)
    .copyInheritedSettings(parent)
    .showHelpAfterError(`hint: see: ${[...namesAbove(parent), name].join(' ')} --help`)
}

function namesAbove(command: Command): string[] {
  return command.parent === null ? [command.name()] : [...namesAbove(command.parent), command.name()]
}
