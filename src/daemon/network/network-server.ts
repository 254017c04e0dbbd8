import { createServer, type Server, type ServerOptions } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import { limitConnections } from './limit-connections.ts'
import type { TlsIdentity } from './read-tls-files.ts'

/** What strangers may make us wait for. Requests themselves last as long as they last. */
const limits: ServerOptions & { handshakeTimeout: number } = {
  headersTimeout: 10_000,
  connectionsCheckingInterval: 5_000,
  requestTimeout: 0,
  keepAliveTimeout: 30_000,
  maxHeaderSize: 16 * 1024,
  keepAlive: true,
  keepAliveInitialDelay: 60_000,
  handshakeTimeout: 10_000,
}

/** A server for strangers, that does not listen yet: with TLS if there is a certificate. */
export function makeNetworkServer(identity: TlsIdentity | undefined): Server {
  const server = identity === undefined ? createServer(limits) : createTlsServer({ ...limits, ...identity })
  limitConnections(server)
  return server
}

/** For the connections that come from now on. */
export function useIdentity(server: Server, identity: TlsIdentity): void {
  // Of a server with TLS; node:https types it, and what makes both kinds cannot.
  if ('setSecureContext' in server) (server as TlsServer).setSecureContext(identity)
}

/** Stops accepting at once; what is under way may end until then. */
export async function closeServer(server: Server, graceMs: number): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve))
  server.closeIdleConnections()
  const deadline = setTimeout(() => server.closeAllConnections(), graceMs)
  await closed
  clearTimeout(deadline)
}
