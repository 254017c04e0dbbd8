import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { finished } from 'node:stream/promises'
import { Problem } from '../../base/index.ts'

/** What forwarded ports are ports of. */
export const loopback = '127.0.0.1'

/** A connection that came in at a port, and waits. */
export interface PortConnection {
  /**
   * Passes it on to another port of this host, until both sides have ended: each may have said all that it has to say, and go on to listen.
   *
   * @throws Problem MACHINE_FAILED when nobody takes it there; anything else is that one of the sides has broken off
   */
  passTo(port: number): Promise<void>
}

export function portConnection(socket: Socket): PortConnection {
  return {
    async passTo(port) {
      const other = await connectTo(port)
      try {
        socket.pipe(other)
        other.pipe(socket)
        await Promise.all([finished(socket), finished(other)])
      } finally {
        other.destroy()
      }
    },
  }
}

async function connectTo(port: number): Promise<Socket> {
  const socket = connect({ host: loopback, port, allowHalfOpen: true })
  try {
    await once(socket, 'connect')
  } catch (cause) {
    throw new Problem('MACHINE_FAILED', `nobody takes connections at ${loopback}:${port}`, { cause })
  }
  return socket
}
