import { spawn } from 'node:child_process'
import { mkdir, open, readFile, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type DataLayout, errnoCode, Problem, problemFromSystem } from '../../base/index.ts'
import { isListening } from './is-listening.ts'

export interface LaunchDaemon {
  readonly layout: DataLayout
  /** Path of bin/cowshed. */
  readonly launcher: string
  readonly signal: AbortSignal
}

const deadlineMs = 30_000
const pollMs = 20

/**
 * Starts a daemon in the background and waits until it answers. When two clients do this at once, one of the daemons gets the data directory
 * and the other ends; both clients then talk to the one.
 *
 * @throws Problem SERVER_UNREACHABLE with what the daemon logged last
 */
export async function launchDaemon({ layout, launcher, signal }: LaunchDaemon): Promise<void> {
  const logStart = await sizeOf(layout.daemonLog)
  const { exited, unref } = await spawnDaemon(layout, launcher)
  const deadline = Date.now() + deadlineMs
  let ended: number | undefined
  void exited.then((code) => {
    ended = code
  })
  while (!(await isListening(layout.socket))) {
    if (Date.now() > deadline) throw await unreachable(layout, logStart, 'does not answer')
    if (ended !== undefined && ended !== dataDirectoryInUse)
      throw await unreachable(layout, logStart, 'could not start')
    await sleep(pollMs, undefined, { signal })
  }
  unref()
}

/** Exit code of a daemon that found another one at work: that one will answer. */
const dataDirectoryInUse = 4

async function spawnDaemon({ root, daemonLog }: DataLayout, launcher: string) {
  try {
    await makeDirectory(root)
    await using log = await open(daemonLog, 'a', 0o600)
    const child = spawn(process.execPath, [launcher, 'serve', '--data', root], {
      detached: true,
      // Not the caller's directory: it would keep a mount busy for as long as the daemon runs.
      cwd: '/',
      stdio: ['ignore', log.fd, log.fd],
    })
    const exited = new Promise<number>((resolve) => {
      child.once('exit', (code) => resolve(code ?? 1))
      child.once('error', () => resolve(1))
    })
    return { exited, unref: () => child.unref() }
  } catch (error) {
    throw problemFromSystem(error, `start a daemon for ${root}`)
  }
}

/** Parents first. Not Node's own way, which never ends where nothing can be made: below /proc. */
async function makeDirectory(path: string): Promise<void> {
  try {
    await makeIfAbsent(path)
  } catch (error) {
    if (errnoCode(error) !== 'ENOENT') throw error
    await makeDirectory(dirname(path))
    await makeIfAbsent(path)
  }
}

async function makeIfAbsent(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 })
  } catch (error) {
    if (errnoCode(error) !== 'EEXIST') throw error
  }
}

async function unreachable({ daemonLog }: DataLayout, logStart: number, what: string): Promise<Problem> {
  const log = await readFile(daemonLog).catch(() => Buffer.alloc(0))
  const lines = log.subarray(logStart).toString('utf8').trimEnd().split('\n')
  // A daemon that cannot start says why, and what to do, as every command does.
  const [error, hint] = ['error: ', 'hint: '].map((label) =>
    lines.find((line) => line.startsWith(label))?.slice(label.length),
  )
  return new Problem('SERVER_UNREACHABLE', `the daemon ${what}: ${error ?? lines.at(-1)}`, {
    hint: hint ?? `see ${daemonLog}, or start it in the foreground: cowshed serve`,
  })
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  )
}
