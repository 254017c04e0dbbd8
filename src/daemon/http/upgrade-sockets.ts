import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import { Problem } from '../../base/index.ts'
import { allRoutes, type Route, type RouteName } from '../../contract/index.ts'
import { callerOf } from '../access/callers.ts'
import { cutOffLater, tokenRevoked } from '../access/token-revoked.ts'
import { problemForClient } from './error-reply.ts'
import type { Call, Handlers } from './handlers.ts'
import { parsePart } from './parse-part.ts'
import { pathSchema } from './path-schema.ts'
import { refuseUpgrade } from './refuse-upgrade.ts'

export interface UpgradeSockets {
  readonly handlers: Handlers
  readonly stopping: AbortSignal
  readonly onError: (error: unknown, route: Route) => void
}

type SocketCall = Pick<Call<RouteName>, 'params' | 'signal'>
type SocketHandler = (call: SocketCall, socket: WebSocket) => Promise<void>

/** Messages larger than this close the connection; clients send stdin in far smaller ones. */
const maxPayload = 4 * 2 ** 20

export interface UpgradedSockets {
  /** For the `upgrade` events of a server. */
  readonly upgrade: (request: IncomingMessage, stream: Duplex, head: Buffer) => void
  /** Resolves when no conversation is under way. */
  readonly done: () => Promise<void>
}

/** Answers requests for a WebSocket: the path is checked while a refusal can still be an ordinary HTTP answer. */
export function upgradeSockets({ handlers, stopping, onError }: UpgradeSockets): UpgradedSockets {
  const sockets = new WebSocketServer({ noServer: true, maxPayload, perMessageDeflate: false })
  const routes = socketRoutes()
  const conversations = new Set<Promise<void>>()

  const upgrade = (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    stream.on('error', () => stream.destroy())
    try {
      const { route, params } = matchRoute(routes, request)
      sockets.handleUpgrade(request, stream, head, (socket) => {
        const handler = handlers[route.name] as SocketHandler
        // ws closes the connection after such an error by itself; unheard, it would end the daemon.
        socket.on('error', () => {})
        const call = { params, signal: socketSignal(socket, request, stopping) } as SocketCall
        const conversation = handler(call, socket)
          .catch((error: unknown) => onError(error, route))
          .finally(() => conversations.delete(conversation))
        conversations.add(conversation)
      })
    } catch (error) {
      refuseUpgrade(stream, problemForClient(error))
    }
  }
  return { upgrade, done: async () => void (await Promise.all(conversations)) }
}

/** What is needed to match a path, made once: making it took longer than all else that is done with an upgrade. */
function socketRoutes() {
  return allRoutes()
    .filter((route) => route.kind === 'socket')
    .map((route) => ({
      route,
      pattern: new RegExp(`^${route.path.replace(/:(\w+)/g, '(?<$1>[^/]+)')}$`),
      schema: pathSchema(route),
    }))
}

function matchRoute(
  routes: ReturnType<typeof socketRoutes>,
  request: IncomingMessage,
): { route: Route; params: unknown } {
  const path = (request.url ?? '').split('?')[0] ?? ''
  for (const { route, pattern, schema } of routes) {
    const match = pattern.exec(path)
    if (match !== null) return { route, params: parsePart(schema, match.groups, 'path') }
  }
  throw new Problem('ROUTE_NOT_FOUND', `there is no WebSocket at ${path}`)
}

function socketSignal(socket: WebSocket, request: IncomingMessage, stopping: AbortSignal): AbortSignal {
  const gone = new AbortController()
  const forget = callerOf(request)?.onRevoked(() => {
    gone.abort(tokenRevoked())
    cutOffLater(() => socket.terminate())
  })
  socket.once('close', () => {
    forget?.()
    gone.abort(new Problem('CANCELLED', 'the client went away'))
  })
  return AbortSignal.any([gone.signal, stopping])
}
