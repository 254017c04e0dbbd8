import type { WebSocket } from 'ws'
import type { TerminalOutput } from '../terminal/terminal.ts'

/** Writes what a program said; while the output takes no more, the daemon is not read, and in the end the program waits. */
export function writeOutput(socket: WebSocket, output: TerminalOutput, chunk: Buffer): void {
  if (output.write(chunk)) return
  socket.pause()
  output.once('drain', () => socket.resume())
}
