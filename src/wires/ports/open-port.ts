import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { errnoCode, Problem, problemFromSystem } from '../../base/index.ts'
import { loopback, type PortConnection, portConnection } from './port-connection.ts'

/** So many connections a port may have at once: who can connect to it is not to use up what the daemon has for all sheds. */
const maxConnections = 1024

export interface OpenPort {
  readonly port: number
  /** Takes no more connections; those that there are go on. */
  close(): void
  /** Ends those, too. */
  end(): void
}

export interface OpenPortOptions {
  /** 0 chooses a free one. */
  readonly port: number
  /** Takes a connection over, which is ended when this settles. It never rejects. */
  readonly onConnection: (connection: PortConnection) => Promise<void>
}

/** Listens on a port of this host's loopback. @throws Problem PORT_IN_USE, IO_FAILED */
export async function openPort({ port, onConnection }: OpenPortOptions): Promise<OpenPort> {
  const sockets = new Set<Socket>()
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    // It may be reset while nobody has begun with it; who does then finds it closed.
    socket.on('error', () => undefined)
    void onConnection(portConnection(socket)).finally(() => socket.destroy())
  })
  server.maxConnections = maxConnections
  try {
    server.listen({ host: loopback, port })
    await once(server, 'listening')
  } catch (error) {
    throw listenProblem(error, port)
  }
  return {
    port: (server.address() as AddressInfo).port,
    close: () => void server.close(),
    end: () => {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

function listenProblem(error: unknown, port: number): Problem {
  const code = errnoCode(error)
  if (code !== 'EADDRINUSE' && code !== 'EACCES') return problemFromSystem(error, `listen on ${loopback}:${port}`)
  const why = code === 'EADDRINUSE' ? 'is in use' : 'is not for the user of the daemon to take'
  return new Problem('PORT_IN_USE', `port ${port} on ${loopback} ${why}`, {
    hint: 'choose another one, or 0 for any that is free',
    cause: error,
    data: { port },
  })
}
