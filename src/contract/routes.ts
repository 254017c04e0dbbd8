import type { z } from 'zod'
import { type Endpoint, endpoints, type RouteName } from './endpoints.ts'
import type { pathParameters } from './path-parameters.ts'
import { backupRoutes } from './routes/backup-routes.ts'
import { fileRoutes } from './routes/file-routes.ts'
import { forwardRoutes } from './routes/forward-routes.ts'
import { imageRoutes } from './routes/image-routes.ts'
import { lazyRoutes } from './routes/lazy-routes.ts'
import type { RouteSpec } from './routes/route-spec.ts'
import { secretRoutes } from './routes/secret-routes.ts'
import { serverRoutes } from './routes/server-routes.ts'
import { shedRoutes } from './routes/shed-routes.ts'
import { snapshotRoutes } from './routes/snapshot-routes.ts'
import { tokenRoutes } from './routes/token-routes.ts'
import { usageRoutes } from './routes/usage-routes.ts'
import { volumeRoutes } from './routes/volume-routes.ts'

export type { RouteKind, RouteSpec } from './routes/route-spec.ts'

/** What goes in and out of each route. The daemon registers its handlers from this table and OpenAPI is written from it. */
export const routes = {
  ...serverRoutes,
  ...shedRoutes,
  ...fileRoutes,
  ...forwardRoutes,
  ...snapshotRoutes,
  ...volumeRoutes,
  ...secretRoutes,
  ...backupRoutes,
  ...imageRoutes,
  ...lazyRoutes,
  ...usageRoutes,
  ...tokenRoutes,
} as const satisfies Record<RouteName, RouteSpec>

type Routes = typeof routes

/** The names of the `:parameters` of a path. */
type ParameterNames<Path extends string> = Path extends `${string}:${infer Name}/${infer Rest}`
  ? Name | ParameterNames<`/${Rest}`>
  : Path extends `${string}:${infer Name}`
    ? Name
    : never

type PathOf<N extends RouteName> = (typeof endpoints)[N]['path']
type Part<N extends RouteName, K extends keyof RouteSpec> = Routes[N] extends {
  readonly [P in K]: infer T extends z.ZodType
}
  ? T
  : undefined

/** What a client gives. */
export type PathInput<N extends RouteName> = { readonly [P in ParameterNames<PathOf<N>>]: string | number }
export type QueryInput<N extends RouteName> = InputOf<Part<N, 'query'>>
export type BodyInput<N extends RouteName> = InputOf<Part<N, 'body'>>
/** What a handler gets. */
export type PathOutput<N extends RouteName> = {
  readonly [P in ParameterNames<PathOf<N>> & keyof typeof pathParameters]: z.output<(typeof pathParameters)[P]>
}
export type QueryOutput<N extends RouteName> = OutputOf<Part<N, 'query'>>
export type BodyOutput<N extends RouteName> = OutputOf<Part<N, 'body'>>
/** What a handler answers, and a client gets. */
export type ReplyOf<N extends RouteName> = Part<N, 'reply'> extends z.ZodType ? z.output<Part<N, 'reply'>> : undefined

type InputOf<T> = T extends z.ZodType ? z.input<T> : undefined
type OutputOf<T> = T extends z.ZodType ? z.output<T> : undefined

export interface Route extends RouteSpec, Endpoint {
  readonly name: RouteName
}

/** Every route as a value, in the order of the endpoints: where it is and what goes in and out. */
export function allRoutes(): Route[] {
  return (Object.keys(endpoints) as RouteName[]).map((name) => ({
    name,
    ...endpoints[name],
    ...(routes[name] as RouteSpec),
  }))
}
