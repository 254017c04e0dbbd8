import { setMaxListeners } from 'node:events'
import { homedir } from 'node:os'
import type { Surroundings } from './cli.ts'
import { runCli } from './run-cli.ts'

export interface MainOptions {
  /** Path of bin/cowshed. */
  readonly launcher: string
  /** Runs the daemon, which is a program of its own and is loaded only for that. */
  readonly serve: Surroundings['serve']
  readonly serveLazy: Surroundings['serveLazy']
  readonly setUpBtrfs: Surroundings['setUpBtrfs']
}

/** The program: runs the command line of this process and ends it with the exit code. */
export async function main({ launcher, serve, serveLazy, setUpBtrfs }: MainOptions): Promise<void> {
  endQuietlyOnBrokenPipe()
  const { signal, takeSignals } = listenForSignals()
  const code = await runCli(process.argv.slice(2), {
    terminal: process,
    launcher,
    serve,
    serveLazy,
    setUpBtrfs,
    uid: process.geteuid?.() ?? 0,
    home: homedir(),
    cwd: process.cwd(),
    signal,
    takeSignals,
  })
  // What a slow reader has not taken yet would be lost with the process.
  await Promise.all([process.stdout, process.stderr].map(taken))
  // Not merely exitCode: a stdin that nobody writes to would keep the process.
  process.exit(code)
}

/** Resolves when the reader, or the kernel for it, has all that was written, or will never have it. */
function taken(output: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (output.writableLength === 0 || output.destroyed) resolve()
    else output.write('', () => resolve())
  })
}

/** `cowshed ls | head` ends as every other program does there. */
function endQuietlyOnBrokenPipe(): void {
  const quit = (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    throw error
  }
  process.stdout.on('error', quit)
  process.stderr.on('error', quit)
}

/** The first signal asks the command to end, which aborts what the daemon does for it; the second ends it. */
function listenForSignals(): Pick<Surroundings, 'signal' | 'takeSignals'> {
  const controller = new AbortController()
  // Every request under way listens: one for each shed of `delete a b c …`.
  setMaxListeners(0, controller.signal)
  let taker: ((signal: 'SIGINT' | 'SIGTERM') => void) | undefined
  const hear = (signal: 'SIGINT' | 'SIGTERM') => {
    if (taker !== undefined) taker(signal)
    else if (controller.signal.aborted) process.exit(130)
    else controller.abort()
  }
  process.on('SIGINT', hear)
  process.on('SIGTERM', hear)
  return {
    signal: controller.signal,
    takeSignals(listener) {
      taker = listener
      return () => {
        taker = undefined
      }
    },
  }
}
