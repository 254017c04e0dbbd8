import type { IncomingMessage } from 'node:http'
import { Problem } from '../../base/index.ts'
import {
  type BodyInput,
  endpoints,
  type PathInput,
  type ProgressEvent,
  type QueryInput,
  type ReplyOf,
  type RouteName,
} from '../../contract/index.ts'
import { problemOfResponse, problemOfValue, readJson } from './reply.ts'
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
  /** The answer of a route that sends bytes. A connection that breaks off makes reading throw. */
  download<N extends RouteName>(route: N, options: CallOptions<N>): Promise<IncomingMessage>
  /** The data of each server-sent event of a route, as it comes. */
  events<N extends RouteName>(route: N, options: CallOptions<N>): AsyncIterable<unknown>
}

export function apiClient(transport: Transport): ApiClient {
  return {
    async call(route, options) {
      const streams = options.onProgress !== undefined
      const response = await send(transport, route, options, streams ? 'text/event-stream' : 'application/json')
      if (isEventStream(response)) return (await completion(response, options.onProgress)) as never
      return (response.statusCode === 204 ? drain(response) : readJson(response)) as never
    },
    download: (route, options) => send(transport, route, options, '*/*'),
    async *events(route, options) {
      const response = await send(transport, route, options, 'text/event-stream')
      for await (const { data } of readServerEvents(response)) yield JSON.parse(data)
    },
  }
}

async function send<N extends RouteName>(
  transport: Transport,
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
  if ((response.statusCode ?? 500) >= 400) throw await problemOfResponse(response)
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
  onProgress: CommonOptions<RouteName>['onProgress'],
): Promise<unknown> {
  for await (const { event, data } of readServerEvents(response)) {
    const value: unknown = JSON.parse(data)
    if (event === 'complete') return value
    if (event === 'error') throw problemOfValue(value, 'an error')
    if (event === 'progress') onProgress?.(value as ProgressEvent)
  }
  throw new Problem('SERVER_UNREACHABLE', 'the daemon went away before the work was done', {
    hint: 'see how things are: cowshed ls; then try again',
  })
}

function isEventStream({ headers }: IncomingMessage): boolean {
  return headers['content-type']?.startsWith('text/event-stream') === true
}

function drain(response: IncomingMessage): undefined {
  response.resume()
}
