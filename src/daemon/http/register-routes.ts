import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type OnProgress, Problem } from '../../base/index.ts'
import { allRoutes, type Route, type RouteName } from '../../contract/index.ts'
import { callerOf } from '../access/callers.ts'
import type { Call, Download, EventSource, Handlers } from './handlers.ts'
import { parsePart } from './parse-part.ts'
import { pathSchema } from './path-schema.ts'
import { requestSignal } from './request-signal.ts'
import { sendEvents } from './send-events.ts'
import { sendWork } from './send-work.ts'

export interface RegisterRoutes {
  readonly app: FastifyInstance
  readonly handlers: Handlers
  /** Aborted when the daemon stops. */
  readonly stopping: AbortSignal
  /** Hears what work that was streamed failed with; every other error reaches fastify's error handler. */
  readonly onStreamedError: (error: unknown, route: Route) => void
}

/** The handler of a route whose kind is checked at run time, against the table that its type came from. */
type AnyHandler = (call: Call<RouteName>) => Promise<unknown>

/** Registers every route of the table: parses what comes in, and answers in the way of the route's kind. */
export function registerRoutes({ app, handlers, stopping, onStreamedError }: RegisterRoutes): void {
  for (const route of allRoutes()) {
    if (route.upload !== undefined) takeRawBodies(app, route.upload)
    const handler = handlers[route.name] as AnyHandler
    app.route({
      method: route.method,
      url: route.path,
      handler: (request, reply) => answer({ route, handler, request, reply, stopping, onStreamedError }),
    })
  }
}

interface Answer {
  readonly route: Route
  readonly handler: AnyHandler
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly stopping: AbortSignal
  readonly onStreamedError: RegisterRoutes['onStreamedError']
}

async function answer({ route, handler, request, reply, stopping, onStreamedError }: Answer): Promise<unknown> {
  if (route.kind === 'socket')
    throw new Problem('INVALID_REQUEST', `${route.path} is a WebSocket: upgrade the connection`)
  if (route.local === true && callerOf(request.raw) !== undefined) throw notOverTheNetwork()
  const call = parseCall(route, request, requestSignal(request.raw, reply.raw, stopping))
  const work = (onProgress: OnProgress) => handler({ ...call, onProgress })
  const streams = wantsEvents(request) && (route.kind === 'work' || route.kind === 'events')

  if (route.kind === 'events') {
    const source = (await work(ignore)) as EventSource
    if (!streams) return { events: source.past() }
    reply.hijack()
    return sendEvents(reply.raw, source, call.signal)
  }
  if (streams) {
    reply.hijack()
    const error = await sendWork(reply.raw, work)
    if (error !== undefined) onStreamedError(error, route)
    return
  }
  const result = await work(ignore)
  if (route.kind === 'download') return sendDownload(route, reply, result as Download)
  return route.reply === undefined ? reply.code(204).send() : result
}

function notOverTheNetwork(): Problem {
  return new Problem('FORBIDDEN', 'tokens are made, seen and revoked on the server itself', {
    hint: 'there, as the user that the daemon runs as: cowshed token ls',
  })
}

function sendDownload(route: Route, reply: FastifyReply, { source, sizeBytes }: Download): FastifyReply {
  reply.header('content-type', route.download ?? 'application/octet-stream')
  if (sizeBytes !== undefined) reply.header('content-length', sizeBytes)
  return reply.send(Readable.from(source, { objectMode: false }))
}

function parseCall(route: Route, request: FastifyRequest, signal: AbortSignal): Omit<Call<RouteName>, 'onProgress'> {
  const upload = route.upload !== undefined && request.body instanceof Readable ? request.body : undefined
  if (route.body === undefined && route.upload !== undefined && upload === undefined) {
    throw new Problem('INVALID_REQUEST', `the body must be of type ${route.upload}`)
  }
  return {
    params: parsePart(pathSchema(route), request.params, 'path'),
    query: route.query === undefined ? undefined : parsePart(route.query, queryOf(route, request), 'query'),
    body:
      route.body === undefined || upload !== undefined ? undefined : parsePart(route.body, request.body ?? {}, 'body'),
    upload,
    signal,
  } as Omit<Call<RouteName>, 'onProgress'>
}

/** A client of server-sent events that comes back says in a header what it saw last. */
function queryOf({ kind }: Route, { query, headers }: FastifyRequest): unknown {
  const lastSeen = kind === 'events' ? headers['last-event-id'] : undefined
  return lastSeen === undefined ? query : { ...(query as object), after: lastSeen }
}

function takeRawBodies(app: FastifyInstance, mediaType: string): void {
  if (app.hasContentTypeParser(mediaType)) return
  app.addContentTypeParser(mediaType, (_request, payload, done) => done(null, payload))
}

function wantsEvents(request: FastifyRequest): boolean {
  return request.headers.accept?.includes('text/event-stream') === true
}

const ignore = () => {}
