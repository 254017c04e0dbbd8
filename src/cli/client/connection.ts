import type { ClientOptions } from 'ws'
import type { RemoteServer } from '../servers/server-record.ts'
import { type ApiClient, apiClient } from './api-client.ts'
import { suggestNames } from './suggest-names.ts'
import type { ClosableTransport, Transport } from './transport.ts'

/** A way to talk to a daemon: here over its socket, or elsewhere over the network. */
export interface Connection {
  /** Undefined for the daemon of this user on this host. */
  readonly server: RemoteServer | undefined
  readonly api: ApiClient
  /** How a WebSocket to it is opened. */
  readonly webSocket: (path: string) => Promise<{ readonly url: string; readonly options: ClientOptions }>
  close(): void
}

export interface LocalConnection {
  readonly socketPath: string
  readonly transport: ClosableTransport
  /** Resolves when a daemon listens. */
  readonly ready: () => Promise<void>
  readonly signal: AbortSignal
}

export function localConnection({ socketPath, transport, ready, signal }: LocalConnection): Connection {
  const send: Transport = async (request) => {
    await ready()
    return await transport({ ...request, signal: request.signal ?? signal })
  }
  return {
    server: undefined,
    api: suggestNames(apiClient(send)),
    async webSocket(path) {
      await ready()
      const { connect } = await import('node:net')
      return { url: `ws://localhost${path}`, options: { createConnection: () => connect(socketPath) } }
    },
    close: () => transport.close(),
  }
}

/** @param signal ends every request that has no other */
export async function networkConnection(server: RemoteServer, signal: AbortSignal): Promise<Connection> {
  // TLS, and the schemas that answers of others are held against, are loaded by whoever talks to others.
  const [{ networkTransport, bearer, trust, connectMs }, { checkReply }] = await Promise.all([
    import('./network-transport.ts'),
    import('./check-reply.ts'),
  ])
  const transport = networkTransport(server)
  const send: Transport = (request) => transport({ ...request, signal: request.signal ?? signal })
  return {
    server,
    api: suggestNames(
      apiClient(send, { server, check: (route, reply) => checkReply(server, route, reply) }),
      `cowshed -s ${server.name} ls`,
    ),
    webSocket: async (path) => ({
      url: `${server.url.replace(/^http/, 'ws')}${path}`,
      options: { headers: bearer(server), handshakeTimeout: connectMs, ...trust(server) },
    }),
    close: () => transport.close(),
  }
}
