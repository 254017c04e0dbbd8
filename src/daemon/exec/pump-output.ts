import { WebSocket } from 'ws'

/** Bytes that may be on their way to the client before the program's output is no longer read. */
const highWaterMark = 2 ** 20

/** Sends a stream of a program to the client, no faster than the client takes it. After the client is gone the rest is discarded. */
export async function pumpOutput(socket: WebSocket, stream: number, source: AsyncIterable<Buffer>): Promise<void> {
  for await (const chunk of source) {
    if (socket.readyState !== WebSocket.OPEN) continue
    const frame = Buffer.allocUnsafe(chunk.length + 1)
    frame[0] = stream
    chunk.copy(frame, 1)
    const sent = new Promise<void>((resolve) => socket.send(frame, () => resolve()))
    if (socket.bufferedAmount > highWaterMark) await sent
  }
}
