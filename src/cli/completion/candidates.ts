import { Command, type Option } from 'commander'
import type { Cli } from '../cli.ts'
import { addCommonOptions } from '../common-options.ts'
import type { CommandEntry } from '../define-command.ts'

/** What the shell completes with the names of files. */
const files = ':files'

export interface Candidates {
  readonly cli: Cli
  /** All that there are. */
  readonly commands: readonly CommandEntry[]
  /** What follows the program's name, the last one unfinished (perhaps empty). */
  readonly words: readonly string[]
}

/** What can come next on a command line: commands, options, and live names of sheds and images. */
export async function candidates(asked: Candidates): Promise<string[]> {
  const typed = asked.words.at(-1) ?? ''
  const all = await everything(asked, typed)
  return all.filter((candidate) => candidate === files || candidate.startsWith(typed))
}

async function everything({ cli, commands, words }: Candidates, typed: string): Promise<string[]> {
  const before = words.slice(0, -1)
  const entry = commands.find(({ name }) => name === before[0] || name === before.slice(0, 2).join(' '))
  if (entry === undefined) return nextWords(commands, before)
  const command = await declared(entry)
  const rest = before.slice(entry.name.split(' ').length)
  const option = optionOf(command, rest.at(-1) ?? '')
  if (option?.required === true) return valuesOf(cli, option)
  if (typed.startsWith('-') && !rest.includes('--')) return command.options.flatMap(({ long }) => (long ? [long] : []))
  return argumentsOf(cli, command, positionOf(command, rest), typed)
}

/** The commands, or those of the group that has been typed. */
function nextWords(commands: readonly CommandEntry[], before: readonly string[]): string[] {
  const visible = commands.filter(({ hidden }) => hidden !== true).map(({ name }) => name.split(' '))
  const matching = visible.filter((name) => before.every((word, at) => name[at] === word))
  return [...new Set(matching.flatMap((name) => name[before.length] ?? []))]
}

async function declared(entry: CommandEntry): Promise<Command> {
  const command = addCommonOptions(new Command())
  const define = await entry.load()
  define(command, () => async () => {}, [])
  return command
}

function optionOf(command: Command, word: string): Option | undefined {
  return command.options.find(({ long, short }) => word !== '' && (word === long || word === short))
}

/** How many arguments have been given: words that are neither options nor values of options. */
function positionOf(command: Command, words: readonly string[]): number {
  let position = 0
  let valueFollows = false
  for (const word of words) {
    if (!valueFollows && !word.startsWith('-')) position++
    valueFollows = !valueFollows && optionOf(command, word)?.required === true
  }
  return position
}

async function valuesOf(cli: Cli, { long, argChoices }: Option): Promise<string[]> {
  if (argChoices !== undefined) return argChoices
  if (long === '--image') return imageNames(cli)
  return ['--data', '--kernel', '--modules', '--output', '--file', '--from-oci-archive'].includes(long ?? '')
    ? [files]
    : []
}

async function argumentsOf(cli: Cli, command: Command, position: number, typed: string): Promise<string[]> {
  const declaredArguments = command.registeredArguments
  const argument = declaredArguments[position] ?? declaredArguments.findLast(({ variadic }) => variadic)
  switch (argument?.name()) {
    case 'shed':
    case 'sheds':
      return shedNames(cli)
    case 'image':
    case 'images':
      return imageNames(cli)
    case 'path':
    case 'context':
      return [files]
    case 'src':
    case 'dst':
      return typed.includes('/') ? [files] : [...(await shedNames(cli)).map((name) => `${name}:`), files]
    default:
      return argument?.argChoices ?? []
  }
}

async function shedNames(cli: Cli): Promise<string[]> {
  return ifRunning(cli, async () => (await cli.api.call('listSheds', {})).sheds.map(({ name }) => name))
}

async function imageNames(cli: Cli): Promise<string[]> {
  return ifRunning(cli, async () => (await cli.api.call('listImages', {})).images.flatMap(({ tags }) => tags))
}

/** Completing starts no daemon and says nothing of what goes wrong. */
async function ifRunning(cli: Cli, names: () => Promise<string[]>): Promise<string[]> {
  try {
    return (await cli.socketPath({ start: false })) === undefined ? [] : await names()
  } catch {
    return []
  }
}
