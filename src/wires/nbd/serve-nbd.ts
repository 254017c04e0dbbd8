import { once } from 'node:events'
import { lstat, rm } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { errnoCode, Problem, problemFromSystem } from '../../base/index.ts'
import type { BlockSource } from './block-source.ts'
import { formatNbdAddress, type NbdAddress } from './nbd-address.ts'
import { NbdSession } from './nbd-session.ts'
import { ReplyBlocks } from './reply-blocks.ts'
import { Wakefulness } from './wakefulness.ts'

export interface NbdServerCounters {
  /** Clients that are connected. */
  readonly clients: number
  /** All that ever were. */
  readonly connections: number
  readonly reads: number
  readonly readBytes: number
  /** Requests that were answered with an error. */
  readonly errors: number
}

export interface NbdServer {
  /** With the port that it is, when any free one was asked for. */
  readonly address: NbdAddress
  counters(): NbdServerCounters
  /** Hangs up on every client, and takes the socket away. */
  close(): Promise<void>
}

/** Each has its own bounds: so many of them bound the whole. */
const maxClients = 64

/**
 * Serves bytes as a block device, read-only, to any number of clients at once.
 *
 * @throws Problem FILE_EXISTS, PORT_IN_USE when somebody listens there; PERMISSION_DENIED, IO_FAILED
 */
export async function serveNbd(source: BlockSource, address: NbdAddress): Promise<NbdServer> {
  const sessions = new Set<NbdSession>()
  const counters = { reads: 0, readBytes: 0, errors: 0 }
  const shared = { source, counters, blocks: new ReplyBlocks(), wakefulness: new Wakefulness() }
  let connections = 0
  const server = createServer({ noDelay: true }, (socket) => {
    if (sessions.size >= maxClients) {
      socket.destroy()
      return
    }
    const session = new NbdSession({ socket, ...shared })
    sessions.add(session)
    connections++
    socket.once('close', () => sessions.delete(session))
  })
  const listening = await listen(server, address)
  return {
    address: listening,
    counters: () => ({ clients: sessions.size, connections, ...counters }),
    async close() {
      const closed = server.listening ? once(server, 'close') : undefined
      server.close()
      for (const session of sessions) session.end()
      await closed
      if (address.kind === 'unix') await rm(address.path, { force: true })
    },
  }
}

async function listen(server: Server, address: NbdAddress): Promise<NbdAddress> {
  try {
    if (address.kind === 'unix') await clearPath(address.path)
    server.listen(address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port })
    await once(server, 'listening')
  } catch (error) {
    if (errnoCode(error) !== 'EADDRINUSE') throw problemFromSystem(error, `listen on ${formatNbdAddress(address)}`)
    throw new Problem('PORT_IN_USE', `another program listens on ${formatNbdAddress(address)}`, {
      hint: 'choose another address: --nbd unix:PATH or --nbd tcp:HOST:PORT',
      cause: error,
    })
  }
  return address.kind === 'unix' ? address : { ...address, port: (server.address() as AddressInfo).port }
}

/** The socket of a server that was killed is in the way, and nobody answers on it. Whatever else is there stays, and is in the way. */
async function clearPath(path: string): Promise<void> {
  const socket = connect(path)
  try {
    await once(socket, 'connect')
  } catch (error) {
    if (errnoCode(error) === 'ECONNREFUSED' && (await lstat(path)).isSocket()) await rm(path, { force: true })
  } finally {
    socket.destroy()
  }
}
