import { lstat, readdir, readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { errnoCode, problemFromSystem } from '../../base/index.ts'
import { runDirectoryName } from '../run-directory.ts'

/** A daemon that starts has its run directory for a moment before it has a socket. */
const youngMs = 3600e3

/**
 * Run directories beside this daemon's that belong to nobody: no process has a socket in them, and no daemon listens in the data directory
 * that they are named after. A daemon takes an empty one along when it ends; what is here was left by kill -9 or a crash.
 *
 * @param runDirectory this daemon's own, which is never among them
 */
export async function deadRunDirectories(runDirectory: string, { now = Date.now() } = {}): Promise<string[]> {
  const parent = dirname(runDirectory)
  const bound = await boundSockets()
  const alive = new Set(bound.filter((path) => basename(path) === 'daemon.sock').map((path) => nameFor(dirname(path))))
  const names = await readdir(parent).catch((error: unknown) => {
    if (errnoCode(error) === 'ENOENT') return []
    throw problemFromSystem(error, `read ${parent}`)
  })
  const others = names
    .filter((name) => /^[0-9a-f]{10}$/.test(name) && !alive.has(name))
    .map((name) => join(parent, name))
    .filter((path) => path !== runDirectory && !bound.some((socket) => socket.startsWith(`${path}/`)))
  const isDead = await Promise.all(others.map((path) => isOursSince(path, now - youngMs)))
  return others.filter((_, at) => isDead[at])
}

const nameFor = (root: string) => runDirectoryName({ root })

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
