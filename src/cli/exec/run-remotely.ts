import type { WebSocket } from 'ws'
import { isProblem, Problem, type ProblemCode, problemCodes } from '../../base/index.ts'
import { type ExecControl, type ExecRequest, execStreams } from '../../contract/index.ts'
import type { Cli } from '../cli.ts'
import { rawMode } from '../terminal/raw-mode.ts'
import { connectSocket } from './connect-socket.ts'
import { pumpStdin } from './pump-stdin.ts'
import { writeOutput } from './write-output.ts'

export interface RunRemotely {
  readonly route: 'execInShed' | 'shellInShed'
  readonly name: string
  readonly request: Partial<ExecRequest>
}

/**
 * Runs a program in a shed with this terminal's streams as its own.
 *
 * @returns its exit code; 128 + n when signal n ended it
 * @throws Problem what kept it from running, or from being heard of to its end
 */
export async function runRemotely(cli: Cli, { route, name, request }: RunRemotely): Promise<number> {
  const socket = await connectSocket(cli, { route, name })
  const restore = request.tty === undefined ? () => {} : rawMode(cli.terminal.stdin)
  const signals = forwardSignals(cli, socket, request.tty !== undefined)
  const unfollow = request.tty === undefined ? () => {} : followSize(cli, socket)
  try {
    socket.send(JSON.stringify(request))
    if (request.stdin === true) void pumpStdin(cli.terminal.stdin, { socket, onTerminal: request.tty !== undefined })
    return await Promise.race([finished(cli, socket), signals.gaveUp])
  } catch (error) {
    // Asked for once more as an ordinary call, which knows how to guess what name was meant.
    if (isProblem(error, 'SHED_NOT_FOUND')) await cli.api.call('getShed', { params: { name } })
    throw error
  } finally {
    unfollow()
    signals.stop()
    restore()
    socket.terminate()
  }
}

function finished({ terminal }: Cli, socket: WebSocket): Promise<number> {
  const { stdout, stderr } = terminal
  return new Promise((resolve, reject) => {
    socket.on('message', (data: Buffer, isBinary: boolean) => {
      if (isBinary) {
        writeOutput(socket, data[0] === execStreams.stderr ? stderr : stdout, data.subarray(1))
        return
      }
      const control = parseControl(data)
      if (control?.type === 'exit') resolve(Number.isInteger(control.code) ? control.code & 255 : 125)
      if (control?.type === 'error') reject(problemOf(control))
    })
    socket.on('error', (error) => reject(lost(error)))
    socket.on('close', () => reject(lost()))
  })
}

/** Undefined for what is none: a server elsewhere may say anything. */
function parseControl(data: Buffer): ExecControl | undefined {
  try {
    return Object(JSON.parse(data.toString('utf8')))
  } catch {
    return undefined
  }
}

function problemOf({ code, message, hint }: Extract<ExecControl, { type: 'error' }>): Problem {
  const known = Object.hasOwn(problemCodes, code) ? (code as ProblemCode) : 'SERVER_FAILED'
  return new Problem(known, String(message), typeof hint === 'string' ? { hint } : {})
}

function lost(cause?: Error): Problem {
  return new Problem('SERVER_UNREACHABLE', 'lost the daemon while the program ran', {
    hint: 'the program was hung up on; see the daemon with: cowshed version',
    ...(cause === undefined ? {} : { cause }),
  })
}

/** So many signals that the program did not end by, and the person wants out. */
const patience = 3
const signalExit = { SIGINT: 130, SIGTERM: 143 } as const

interface ForwardedSignals {
  /** The exit code, when the program is to be left to itself. */
  readonly gaveUp: Promise<number>
  stop(): void
}

/**
 * Passes SIGINT and SIGTERM on to the program, which decides what they mean. On a terminal SIGINT comes as a key, and SIGTERM means this
 * process: the program is hung up on, as if its terminal had been closed.
 */
function forwardSignals(cli: Cli, socket: WebSocket, onTerminal: boolean): ForwardedSignals {
  let stop = () => {}
  const gaveUp = new Promise<number>((resolve) => {
    let count = 0
    stop = cli.takeSignals((signal) => {
      count++
      if (onTerminal || count >= patience) resolve(signalExit[signal])
      else sendControl(socket, { type: 'signal', signal })
    })
  })
  return { gaveUp, stop: () => stop() }
}

function followSize({ terminal: { stdout } }: Cli, socket: WebSocket): () => void {
  const resize = () => sendControl(socket, { type: 'resize', ...terminalSize(stdout) })
  stdout.on('resize', resize)
  return () => stdout.off('resize', resize)
}

/** The size of a terminal, or what is usual where there is none. */
export function terminalSize({ rows, columns }: { readonly rows?: number; readonly columns?: number }) {
  return { rows: rows || 24, cols: columns || 80 }
}

function sendControl(socket: WebSocket, control: ExecControl): void {
  if (socket.readyState === socket.OPEN) socket.send(JSON.stringify(control))
}
