import type { WebSocket } from 'ws'
import type { OnProgress } from '../../base/index.ts'
import type {
  BodyOutput,
  CowshedEvent,
  PathOutput,
  QueryOutput,
  ReplyOf,
  RouteName,
  routes,
} from '../../contract/index.ts'

type Routes = typeof routes

/** One request, parsed. */
export interface Call<N extends RouteName> {
  readonly params: PathOutput<N>
  readonly query: QueryOutput<N>
  /** Of a route that takes JSON or a raw body: undefined when the client sent the latter. */
  readonly body: Routes[N] extends { readonly upload: string } ? BodyOutput<N> | undefined : BodyOutput<N>
  /** The raw body; undefined when the client sent JSON. */
  readonly upload: AsyncIterable<Buffer> | undefined
  /** Aborted when the client has gone away or the daemon stops. Its reason is a Problem CANCELLED. */
  readonly signal: AbortSignal
  readonly onProgress: OnProgress
}

/** Bytes to answer with. Whatever can be refused has been when this is returned: an error while they flow can only cut the connection. */
export interface Download {
  readonly source: AsyncIterable<Buffer>
  /** Makes a short answer detectable; without it the answer is chunked. */
  readonly sizeBytes?: number | undefined
}

/** What happened already, and a way to hear what comes. */
export interface EventSource {
  readonly past: () => CowshedEvent[]
  /** @returns how to stop listening */
  readonly subscribe: (listener: (event: CowshedEvent) => void) => () => void
}

/** What a route does, by its kind in the table of routes. What it hands out it does not change afterwards: see replyText. */
export type Handler<N extends RouteName> = Routes[N]['kind'] extends 'socket'
  ? (call: Pick<Call<N>, 'params' | 'signal'>, socket: WebSocket) => Promise<void>
  : Routes[N]['kind'] extends 'download'
    ? (call: Call<N>) => Promise<Download>
    : Routes[N]['kind'] extends 'events'
      ? (call: Call<N>) => Promise<EventSource>
      : ReplyOf<N> extends undefined
        ? (call: Call<N>) => Promise<void>
        : (call: Call<N>) => Promise<ReplyOf<N>>

/** A handler for each route: one that is missing is a type error. */
export type Handlers = { readonly [N in RouteName]: Handler<N> }
