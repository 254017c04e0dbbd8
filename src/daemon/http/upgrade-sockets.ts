import { type IncomingMessage, type Server, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import { Problem } from '../../base/index.ts'
import { allRoutes, type Route, type RouteName } from '../../contract/index.ts'
import { errorReply, problemForClient } from './error-reply.ts'
import type { Call, Handlers } from './handlers.ts'
import { parsePart } from './parse-part.ts'
import { pathSchema } from './path-schema.ts'

export interface UpgradeSockets {
  readonly server: Server
  readonly handlers: Handlers
  readonly stopping: AbortSignal
  readonly onError: (error: unknown, route: Route) => void
}

type SocketCall = Pick<Call<RouteName>, 'params' | 'signal'>
type SocketHandler = (call: SocketCall, socket: WebSocket) => Promise<void>

/** Messages larger than this close the connection; clients send stdin in far smaller ones. */
const maxPayload = 4 * 2 ** 20

/**
 * Answers requests for a WebSocket: the path is checked while a refusal can still be an ordinary HTTP answer.
 *
 * @returns how to wait until no conversation is under way
 */
export function upgradeSockets({ server, handlers, stopping, onError }: UpgradeSockets): () => Promise<void> {
  const sockets = new WebSocketServer({ noServer: true, maxPayload, perMessageDeflate: false })
  const routes = socketRoutes()
  const conversations = new Set<Promise<void>>()

  server.on('upgrade', (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    stream.on('error', () => stream.destroy())
    try {
      const { route, params } = matchRoute(routes, request)
      sockets.handleUpgrade(request, stream, head, (socket) => {
        const handler = handlers[route.name] as SocketHandler
        // ws closes the connection after such an error by itself; unheard, it would end the daemon.
        socket.on('error', () => {})
        const call = { params, signal: socketSignal(socket, stopping) } as SocketCall
        const conversation = handler(call, socket)
          .catch((error: unknown) => onError(error, route))
          .finally(() => conversations.delete(conversation))
        conversations.add(conversation)
      })
    } catch (error) {
      refuse(stream, problemForClient(error))
    }
  })
  return async () => void (await Promise.all(conversations))
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

function socketSignal(socket: WebSocket, stopping: AbortSignal): AbortSignal {
  const gone = new AbortController()
  socket.once('close', () => gone.abort(new Problem('CANCELLED', 'the client went away')))
  return AbortSignal.any([gone.signal, stopping])
}

function refuse(stream: Duplex, problem: Problem): void {
  const body = JSON.stringify(errorReply(problem))
  const head = [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status] ?? 'Error'}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ]
  stream.end(`${head.join('\r\n')}\r\n\r\n${body}`)
}
