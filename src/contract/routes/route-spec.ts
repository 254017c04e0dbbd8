import type { z } from 'zod'
import type { ProblemCode } from '../../base/index.ts'
import type { RouteName } from '../endpoints.ts'

/**
 * How a route speaks.
 * - `json`: answers once.
 * - `work`: answers once, or with `Accept: text/event-stream` streams `progress` events and ends with `complete` or `error`.
 * - `download`: answers with bytes.
 * - `events`: answers with JSON, or with `Accept: text/event-stream` with events as they happen.
 * - `socket`: a WebSocket; see exec.ts.
 */
export type RouteKind = 'json' | 'work' | 'download' | 'events' | 'socket'

export interface RouteSpec {
  readonly kind: RouteKind
  readonly summary: string
  readonly query?: z.ZodType
  /** JSON body. */
  readonly body?: z.ZodType
  /** Media type of a raw body, instead of or besides a JSON one. */
  readonly upload?: string
  /** JSON reply; without it the answer is 204 with no body. */
  readonly reply?: z.ZodType
  /** Media type of a `download`. */
  readonly download?: string
  /** Only over the unix socket: whoever has a token cannot make more of them, or see who else has one. */
  readonly local?: true
  /** What can go wrong here beyond what can go wrong with any request. */
  readonly codes: readonly ProblemCode[]
}

/** The routes of one noun. */
export type RouteTable = { readonly [N in RouteName]?: RouteSpec }
