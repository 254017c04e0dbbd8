import { WebSocket } from 'ws'
import { execStreams } from '../../contract/index.ts'
import type { TerminalInput } from '../terminal/terminal.ts'

/** Bytes that may be on their way before stdin is no longer read. */
const highWaterMark = 2 ** 20
/** The daemon takes messages up to 4 MiB. */
const chunkBytes = 2 ** 18

export interface PumpStdin {
  readonly socket: WebSocket
  /** Whether the program has a terminal. */
  readonly onTerminal: boolean
}

/** The key that ends what is typed (VEOF, termios(3)): a terminal has no other end of input. */
const endOfInput = Buffer.of(4)

/** Sends stdin to the program as it comes, no faster than it takes it, and its end. */
export async function pumpStdin(stdin: TerminalInput, { socket, onTerminal }: PumpStdin): Promise<void> {
  try {
    for await (const chunk of stdin as AsyncIterable<Buffer>) {
      for (let at = 0; at < chunk.length; at += chunkBytes) await send(socket, chunk.subarray(at, at + chunkBytes))
      if (socket.readyState !== WebSocket.OPEN) return
    }
  } catch {
    // A stdin that cannot be read is at its end.
  }
  if (onTerminal) await send(socket, endOfInput)
  else if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ type: 'stdin_end' }))
}

async function send(socket: WebSocket, chunk: Buffer): Promise<void> {
  if (socket.readyState !== WebSocket.OPEN) return
  const sent = new Promise<void>((resolve) => {
    socket.send(Buffer.concat([Buffer.of(execStreams.stdin), chunk]), () => resolve())
  })
  if (socket.bufferedAmount > highWaterMark) await sent
}
