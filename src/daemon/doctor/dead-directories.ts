import { lstat, readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { namesIn } from '../../host/index.ts'
import { runDirectoryName } from '../run-directory.ts'

/** A daemon that starts has its directories for a moment before it has a socket. */
const youngMs = 3600e3

/**
 * Directories beside one of this daemon's that are of the same kind, for run-time sockets or for RAM, and belong to nobody: no daemon listens in the data directory
 * that they are named after, and no VM of it has a socket. A daemon takes an empty one along when it ends; what is here was left by kill -9 or a crash.
 *
 * @param own this daemon's, which is never among them; its name ends with that of the data directory (runDirectoryName)
 */
export async function deadDirectories(own: string, { now = Date.now() } = {}): Promise<string[]> {
  const parent = dirname(own)
  const prefix = basename(own).slice(0, -nameLength)
  const alive = await namesInUse()
  const names = await namesIn(parent)
  const others = names
    .filter((name) => name.startsWith(prefix) && isDirectoryName(name.slice(prefix.length)))
    .filter((name) => !alive.has(name.slice(prefix.length)))
    .map((name) => join(parent, name))
    .filter((path) => path !== own)
  const isDead = await Promise.all(others.map((path) => isOursSince(path, now - youngMs)))
  return others.filter((_, at) => isDead[at])
}

const nameLength = 10
const isDirectoryName = (name: string) => name.length === nameLength && /^[0-9a-f]+$/.test(name)

/** The names of data directories where a daemon listens, or a VM does: its sockets are in a directory of that name. */
async function namesInUse(): Promise<Set<string>> {
  const bound = await boundSockets()
  return new Set(
    bound.map((path) => {
      const root = dirname(path)
      return basename(path) === 'daemon.sock' ? runDirectoryName({ root }) : basename(root)
    }),
  )
}

/** Whether it is a directory of this user that has not changed since. */
async function isOursSince(path: string, since: number): Promise<boolean> {
  const found = await lstat(path).catch(() => undefined)
  return found?.isDirectory() === true && found.uid === process.geteuid?.() && found.ctimeMs < since
}

/**
 * The paths of all unix sockets that somebody has bound.
 *
 * @see proc_net(5): the eighth field of each line of /proc/net/unix
 */
async function boundSockets(): Promise<string[]> {
  const table = await readFile('/proc/net/unix', 'utf8')
  return table.split('\n').flatMap((line) => /^(?:\S+\s+){7}(\/.*)$/.exec(line)?.[1] ?? [])
}
