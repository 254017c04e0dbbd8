import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Writable } from 'node:stream'
import { pino } from 'pino'
import { dataLayout } from '../base/index.ts'
import { createHttpServer } from '../daemon/http/create-http-server.ts'
import type { Handlers } from '../daemon/http/handlers.ts'
import { listenOnSocket } from '../daemon/http/listen-on-socket.ts'
import type { Surroundings } from './cli.ts'
import { runCli } from './run-cli.ts'
import type { TerminalInput, TerminalOutput } from './terminal/terminal.ts'

export type TestHandlers = { -readonly [N in keyof Handlers]?: Handlers[N] }

export interface RunOptions {
  /** What is on stdin; it stays open when undefined. */
  readonly input?: string | Buffer | undefined
  /** Whether a person sits there. */
  readonly isTty?: boolean
  readonly signal?: AbortSignal
  readonly takeSignals?: Surroundings['takeSignals']
  readonly serveLazy?: Surroundings['serveLazy']
  readonly setUpBtrfs?: Surroundings['setUpBtrfs']
  readonly env?: Record<string, string>
  readonly cwd?: string
  readonly home?: string
  readonly uid?: number
}

export interface RunResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/**
 * The CLI in this process, against the daemon's real HTTP layer on a real unix socket, whose handlers a test gives: what is tested is the
 * command line, not the rooms.
 */
export async function openTestCli() {
  const directory = mkdtempSync(join(tmpdir(), 'cowshed-cli-'))
  const stopping = new AbortController()
  const handlers: TestHandlers = {}
  const served = new Proxy({} as Handlers, {
    get: (_, name: keyof Handlers) => (call: never, socket: never) => {
      const handler = handlers[name] as ((call: never, socket: never) => unknown) | undefined
      if (handler === undefined) throw new Error(`no handler for ${name}`)
      return handler(call, socket)
    },
  })
  const { app } = createHttpServer({ handlers: served, log: pino({ level: 'silent' }), stopping: stopping.signal })
  await listenOnSocket(app, dataLayout(directory).socket)
  return {
    directory,
    handlers,
    run: (words: readonly string[], options: RunOptions = {}) => runCommand(directory, words, options),
    cutConnections: () => app.server.closeAllConnections(),
    async close() {
      stopping.abort()
      app.server.closeAllConnections()
      await app.close()
      rmSync(directory, { recursive: true })
    },
  }
}

/** One command line in this process, whose data directory is the given one unless its options or environment say otherwise. */
export async function runCommand(
  directory: string,
  words: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  const stdout = outputOf(options.isTty === true)
  const stderr = outputOf(options.isTty === true)
  const code = await runCli(words, {
    terminal: { stdin: inputOf(options), stdout, stderr, env: { COWSHED_DATA: directory, ...options.env } },
    launcher: '/nonexistent/cowshed',
    serve: async () => {},
    serveLazy: options.serveLazy ?? (() => Promise.reject(new Error('not here'))),
    setUpBtrfs: options.setUpBtrfs ?? (() => Promise.reject(new Error('not here'))),
    uid: options.uid ?? 0,
    home: options.home ?? '/nonexistent',
    cwd: options.cwd ?? directory,
    signal: options.signal ?? new AbortController().signal,
    takeSignals: options.takeSignals ?? (() => () => {}),
  })
  return { code, stdout: stdout.text(), stderr: stderr.text() }
}

function inputOf({ input, isTty }: RunOptions): TerminalInput {
  const stream = new PassThrough()
  if (input !== undefined) stream.end(input)
  return Object.assign(stream, { isTTY: isTty === true })
}

export function outputOf(isTTY: boolean, columns = 80): TerminalOutput & { text(): string } {
  const chunks: Buffer[] = []
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk)
      done()
    },
  })
  return Object.assign(stream, { isTTY, columns, rows: 24, text: () => Buffer.concat(chunks).toString('utf8') })
}
