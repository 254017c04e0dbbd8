import { Agent, request as plainRequest } from 'node:http'
import { Agent as TlsAgent, request as tlsRequest } from 'node:https'
import type { Socket } from 'node:net'
import type { RemoteServer } from '../servers/server-record.ts'
import { explainNetworkError } from './explain-network-error.ts'
import { type ClosableTransport, exchange, headOf, type Transport } from './transport.ts'

/** How long a connection may take to come about, TLS included. */
export const connectMs = 10_000
/** A stream of events says at least every 15 seconds that it is still there. */
const silenceMs = 60_000

/** HTTP to a server over the network, with its token, and over TLS unless its URL says otherwise. */
export function networkTransport(server: RemoteServer): ClosableTransport {
  const { protocol, hostname, port } = new URL(server.url)
  const options = { keepAlive: true, maxSockets: 8, keepAliveMsecs: 30_000 }
  const agent = protocol === 'https:' ? new TlsAgent({ ...options, ...trust(server) }) : new Agent(options)
  const request = protocol === 'https:' ? tlsRequest : plainRequest
  const explain = (error: Error) => explainNetworkError(error, server)
  const send: Transport = async (asked) => {
    const { headers, ...head } = headOf(asked)
    const host = hostname.replace(/^\[|\]$/g, '')
    const sent = request({ host, port, agent, ...head, headers: { ...headers, ...bearer(server) } })
    sent.once('socket', (socket) => limitConnecting(socket, protocol === 'https:'))
    // From the head on, which comes at once, to the end.
    if (headers.accept === 'text/event-stream') {
      sent.setTimeout(silenceMs, () => sent.destroy(new Error('it has said nothing for a minute')))
    }
    return await exchange(sent, asked, explain)
  }
  return Object.assign(send, { close: () => agent.destroy() })
}

export function bearer({ token }: RemoteServer): { readonly authorization: string } {
  return { authorization: `Bearer ${token}` }
}

/** Those of the system, unless there is one of its own. */
export function trust({ ca }: RemoteServer): { readonly ca?: string } {
  return ca === undefined ? {} : { ca }
}

function limitConnecting(socket: Socket, tls: boolean): void {
  if (!socket.connecting) return
  const late = Object.assign(new Error(`no connection within ${connectMs / 1000} seconds`), { code: 'ETIMEDOUT' })
  const timer = setTimeout(() => socket.destroy(late), connectMs)
  const clear = () => clearTimeout(timer)
  socket.once(tls ? 'secureConnect' : 'connect', clear).once('close', clear)
}
