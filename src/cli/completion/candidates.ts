import { setTimeout as sleep } from 'node:timers/promises'
import { Command, type Option } from 'commander'
import type { Cli } from '../cli.ts'
import { addCommonOptions } from '../common-options.ts'
import type { CommandEntry } from '../define-command.ts'
import { localName } from '../servers/server-book.ts'
import { withoutLeadingOptions } from '../without-leading-options.ts'

/** What the shell completes with the names of files. */
const files = ':files'

export interface Candidates {
  readonly cli: Cli
  /** All that there are. */
  readonly commands: readonly CommandEntry[]
  /** What follows the program's name, the last one unfinished (perhaps empty). */
  readonly words: readonly string[]
}

/** What can come next on a command line: commands, options, and live names of sheds, snapshots, volumes, secrets and images. */
export async function candidates(asked: Candidates): Promise<string[]> {
  const typed = asked.words.at(-1) ?? ''
  const all = await everything(asked, typed)
  return all.filter((candidate) => candidate === files || candidate.startsWith(typed))
}

async function everything({ cli: here, commands, words }: Candidates, typed: string): Promise<string[]> {
  const said = words.slice(0, -1)
  if (['-s', '--server'].includes(said.at(-1) ?? '')) return [localName, ...(await serverNames(here))]
  const cli = await onServer(here, said)
  const before = withoutLeadingOptions(said)
  const entry = commands.find(({ name }) => name === before[0] || name === before.slice(0, 2).join(' '))
  if (entry === undefined) return nextWords(commands, before)
  const command = await declared(entry)
  const rest = before.slice(entry.name.split(' ').length)
  const option = optionOf(command, rest.at(-1) ?? '')
  if (option?.required === true) return valuesOf(cli, option)
  if (typed.startsWith('-') && !rest.includes('--')) return command.options.flatMap(({ long }) => (long ? [long] : []))
  return argumentsOf(cli, command, positionOf(command, rest), typed)
}

/** Names come from the server that the command line is about. */
async function onServer(cli: Cli, words: readonly string[]): Promise<Cli> {
  const at = words.findLastIndex((word) => word === '-s' || word === '--server')
  const name = words[at + 1]
  if (at < 0 || name === undefined) return cli
  try {
    const { api } = await cli.connectTo(await cli.servers.get(name))
    return { ...cli, api, isRunning: async () => true }
  } catch {
    return cli
  }
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
  if (long === '--from-snapshot') return snapshotNames(cli)
  if (long === '--secret') return secretNames(cli)
  if (long === '--volume') return (await volumeNames(cli)).map((name) => `${name}:/`)
  return [
    '--data',
    '--kernel',
    '--modules',
    '--output',
    '--file',
    '--from-oci-archive',
    '--ca',
    '--token-file',
    '--tls-cert',
    '--tls-key',
  ].includes(long ?? '')
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
    case 'snapshot':
    case 'snapshots':
      return snapshotNames(cli)
    case 'volume':
    case 'volumes':
      return volumeNames(cli)
    case 'secret':
    case 'secrets':
      return secretNames(cli)
    case 'server':
    case 'servers':
      return serverNames(cli)
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

function serverNames(cli: Cli): Promise<string[]> {
  return cli.servers.names().catch(() => [])
}

async function shedNames(cli: Cli): Promise<string[]> {
  return ifRunning(cli, async () => (await cli.api.call('listSheds', {})).sheds.map(({ name }) => name))
}

async function snapshotNames(cli: Cli): Promise<string[]> {
  return ifRunning(cli, async () => (await cli.api.call('listSnapshots', {})).snapshots.map(({ name }) => name))
}

async function volumeNames(cli: Cli): Promise<string[]> {
  return ifRunning(cli, async () => (await cli.api.call('listVolumes', {})).volumes.map(({ name }) => name))
}

async function secretNames(cli: Cli): Promise<string[]> {
  return ifRunning(cli, async () => (await cli.api.call('listSecrets', {})).secrets.map(({ name }) => name))
}

async function imageNames(cli: Cli): Promise<string[]> {
  return ifRunning(cli, async () => (await cli.api.call('listImages', {})).images.flatMap(({ tags }) => tags))
}

/** Nobody waits longer for a key: a server may be far away, or gone. */
const patienceMs = 2000

function within<T>(work: Promise<T[]>, ms: number): Promise<T[]> {
  return Promise.race([work, sleep(ms, [], { ref: false })])
}

/** Completing starts no daemon and says nothing of what goes wrong. */
async function ifRunning(cli: Cli, names: () => Promise<string[]>): Promise<string[]> {
  try {
    return (await cli.isRunning()) ? await within(names(), patienceMs) : []
  } catch {
    return []
  }
}
