import { rm } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { listenOn } from './listen-on.ts'

/**
 * Listens on a unix socket for one sender, whose bytes go to whoever listens on another. What goes wrong, both of them notice: they are hung up on.
 *
 * @throws Problem IO_FAILED when nobody can listen there
 */
export async function relayStream(fromSocket: string, toSocket: string): Promise<AsyncDisposable> {
  const server = createServer((sender) => {
    server.close()
    const receiver = connect(toSocket)
    receiver.on('error', () => sender.destroy())
    pipeline(sender, receiver).catch(() => undefined)
  })
  await listenOn(server, fromSocket)
  return {
    [Symbol.asyncDispose]: async () => {
      server.close()
      await rm(fromSocket, { force: true })
    },
  }
}
