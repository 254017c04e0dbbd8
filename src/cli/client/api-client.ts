import type { IncomingMessage } from 'node:http'
import { isProblem, Problem } from '../../base/index.ts'
import {
  type BodyInput,
  endpoints,
  type PathInput,
  type ProgressEvent,
  type QueryInput,
  type ReplyOf,
  type RouteName,
} from '../../contract/index.ts'
import type { RemoteServer } from '../servers/server-record.ts'
import { explainRefusal } from './explain-refusal.ts'
import { parseJson, problemOfResponse, problemOfValue, readJson } from './reply.ts'
import { readServerEvents } from './server-events.ts'
import type { Transport } from './transport.ts'

interface CommonOptions<N extends RouteName> {
  readonly query?: QueryInput<N>
  readonly body?: BodyInput<N>
  /** A raw body instead of a JSON one. */
  readonly upload?: { readonly mediaType: string; readonly source: AsyncIterable<Uint8Array> }
  /** Asks the daemon to report progress as it goes. */
  readonly onProgress?: ((progress: ProgressEvent) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

export type CallOptions<N extends RouteName> = CommonOptions<N> &
  (keyof PathInput<N> extends never ? { readonly params?: undefined } : { readonly params: PathInput<N> })

/** The daemon's API as functions, typed by the table of routes. Every method throws what the daemon answered with as the Problem that it was. */
export interface ApiClient {
  call<N extends RouteName>(route: N, options: CallOptions<N>): Promise<ReplyOf<N>>
  /** The answer of a route that sends bytes. An answer that breaks off makes reading throw SERVER_FAILED. */
  download<N extends RouteName>(route: N, options: CallOptions<N>): Promise<AsyncIterable<Buffer>>
  /** The data of each server-sent event of a route, as it comes. */
  events<N extends RouteName>(route: N, options: CallOptions<N>): AsyncIterable<unknown>
}

export interface ApiClientOptions {
  /** Whose answers these are; undefined for the daemon of this user on this host. */
  readonly server?: RemoteServer
  /** Looks at each answer before anybody believes it. @throws Problem */
  readonly check?: (route: RouteName, reply: unknown) => void
}

export function apiClient(transport: Transport, { server, check = () => {} }: ApiClientOptions = {}): ApiClient {
  const sent: Send = (route, options, accept) => send({ transport, server }, route, options, accept)
  return {
    async call(route, options) {
      const streams = options.onProgress !== undefined
      const response = await sent(route, options, streams ? 'text/event-stream' : 'application/json')
      if (response.statusCode === 204) return drain(response) as never
      const reply = isEventStream(response)
        ? await completion(response, options)
        : await readJson(whole(response, { otherwise: brokenOff, signal: options.signal }))
      check(route, reply)
      return reply as never
    },
    download: async (route, options) =>
      whole(await sent(route, options, '*/*'), { otherwise: brokenOff, signal: options.signal }),
    async *events(route, options) {
      const response = await sent(route, options, 'text/event-stream')
      const source = whole(response, { otherwise: lost, signal: options.signal })
      for await (const { data } of readServerEvents(source)) yield parseJson(data)
    },
  }
}

type Send = <N extends RouteName>(route: N, options: CallOptions<N>, accept: string) => Promise<IncomingMessage>

interface Peer {
  readonly transport: Transport
  readonly server: RemoteServer | undefined
}

async function send<N extends RouteName>(
  { transport, server }: Peer,
  route: N,
  { params, query, body, upload, signal }: CallOptions<N>,
  accept: string,
): Promise<IncomingMessage> {
  const { method } = endpoints[route]
  const response = await transport({
    method,
    path: pathOf(route, params, query),
    headers: { accept, ...contentType(body, upload?.mediaType) },
    body: upload?.source ?? (body === undefined ? undefined : JSON.stringify(body)),
    signal,
  })
  if ((response.statusCode ?? 500) >= 400) throw explainRefusal(await problemOfResponse(response), { route, server })
  return response
}

/** The path of a route with its parameters and query filled in. */
export function pathOf(route: RouteName, params: object = {}, query: unknown = {}): string {
  const path = endpoints[route].path.replace(/:(\w+)/g, (_, name: string) => {
    return encodeURIComponent(String((params as Record<string, unknown>)[name]))
  })
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query ?? {})) {
    for (const one of Array.isArray(value) ? value : [value]) if (one !== undefined) search.append(name, String(one))
  }
  return search.size === 0 ? path : `${path}?${search}`
}

function contentType(body: unknown, mediaType: string | undefined): Record<string, string> {
  if (mediaType !== undefined) return { 'content-type': mediaType }
  return body === undefined ? {} : { 'content-type': 'application/json' }
}

async function completion(
  response: IncomingMessage,
  { onProgress, signal }: Pick<CommonOptions<RouteName>, 'onProgress' | 'signal'>,
): Promise<unknown> {
  for await (const { event, data } of readServerEvents(whole(response, { otherwise: lost, signal }))) {
    const value = parseJson(data)
    if (event === 'complete') return value
    if (event === 'error') throw problemOfValue(value, 'an error')
    if (event === 'progress' && isProgress(value)) onProgress?.(value)
  }
  throw lost()
}

/** Enough of one to be shown, whoever sent it. */
function isProgress(value: unknown): value is ProgressEvent {
  const { phase, item = '', done, total = 0, message = '' }: Record<string, unknown> = Object(value)
  return [phase, item, message].every((text) => typeof text === 'string') && [done, total].every(Number.isFinite)
}

interface Whole {
  /** What it is when the connection breaks. */
  readonly otherwise: (cause: unknown) => Problem
  readonly signal: AbortSignal | undefined
}

async function* whole(response: IncomingMessage, { otherwise, signal }: Whole): AsyncGenerator<Buffer> {
  try {
    yield* response as AsyncIterable<Buffer>
  } catch (error) {
    if (signal?.aborted !== true) throw otherwise(error)
    throw isProblem(signal.reason) ? signal.reason : error
  }
}

const howThingsAre = { hint: 'see how things are: cowshed ls; then try again' }

function lost(cause?: unknown): Problem {
  return new Problem('SERVER_UNREACHABLE', 'the daemon went away before the work was done', { ...howThingsAre, cause })
}

/** The daemon may be well: an error while bytes flow can only be told by cutting them off. */
function brokenOff(cause: unknown): Problem {
  return new Problem('SERVER_FAILED', 'the answer broke off before its end', { ...howThingsAre, cause })
}

function isEventStream({ headers }: IncomingMessage): boolean {
  return headers['content-type']?.startsWith('text/event-stream') === true
}

function drain(response: IncomingMessage): undefined {
  response.resume()
}
