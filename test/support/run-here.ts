import { setMaxListeners } from 'node:events'
import { homedir } from 'node:os'
import { PassThrough, Writable } from 'node:stream'
import { runCli } from '../../src/cli/run-cli.ts'

export interface CommandResult {
  readonly code: number
  /** A byte a character. */
  readonly stdout: string
  readonly stderr: string
}

export interface RunHere {
  /** bin/cowshed, to start a daemon with. */
  readonly launcher: string
  readonly input: string | Buffer
  readonly env: Readonly<Record<string, string | undefined>>
}

/**
 * Runs a command line as bin/cowshed does, in this process: all of the CLI but the start of a process, which takes longer than most commands do.
 *
 * @param words what follows the program's name; not `serve` nor `lazy serve`, which run until they are told to end
 */
export async function runHere(words: readonly string[], { launcher, input, env }: RunHere): Promise<CommandResult> {
  const [stdin, stdout, stderr] = [new PassThrough(), sink(), sink()]
  stdin.end(input)
  const { signal } = new AbortController()
  setMaxListeners(0, signal)
  const code = await runCli(words, {
    terminal: { stdin, stdout: stdout.stream, stderr: stderr.stream, env },
    launcher,
    serve: notHere,
    serveLazy: notHere,
    setUpBtrfs: notHere,
    uid: process.geteuid?.() ?? 0,
    home: homedir(),
    cwd: process.cwd(),
    signal,
    takeSignals: () => () => {},
  })
  return { code, stdout: stdout.bytes().toString('latin1'), stderr: stderr.bytes().toString() }
}

function notHere(): Promise<never> {
  return Promise.reject(new Error('only a process of its own does that: start it'))
}

/** A stream that is neither slow nor a terminal. */
function sink(): { stream: Writable; bytes(): Buffer } {
  const chunks: Buffer[] = []
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk)
      done()
    },
  })
  return { stream, bytes: () => Buffer.concat(chunks) }
}
