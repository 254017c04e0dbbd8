import { Problem } from '../../base/index.ts'
import { type RouteName, type RouteSpec, routes } from '../../contract/index.ts'
import type { RemoteServer } from '../servers/server-record.ts'

/**
 * Holds what a server answered against the contract: it may be of another version, or no friend. What it says beyond that is left as it is.
 *
 * @throws Problem SERVER_FAILED
 */
export function checkReply({ name }: RemoteServer, route: RouteName, reply: unknown): void {
  const { reply: schema }: RouteSpec = routes[route]
  const checked = schema?.safeParse(reply)
  if (checked === undefined || checked.success) return
  const [issue] = checked.error.issues
  const field = issue?.path.join('.') || 'the whole'
  throw new Problem(
    'SERVER_FAILED',
    `${name} answered with what this version does not understand (${field}: ${issue?.message})`,
    {
      hint: `it may be of another version: cowshed -s ${name} version`,
      cause: checked.error,
    },
  )
}
