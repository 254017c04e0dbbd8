import { Problem } from '../../base/index.ts'
import { endpoints, type RouteName } from '../../contract/index.ts'
import type { RemoteServer } from '../servers/server-record.ts'

export interface Refused {
  readonly route: RouteName
  /** Undefined for the daemon of this user on this host. */
  readonly server: RemoteServer | undefined
}

/** What a server refused, in the words of whoever sits at the client: whose it is, and what to type here. */
export function explainRefusal(problem: Problem, { route, server }: Refused): Problem {
  if (problem.code === 'ROUTE_NOT_FOUND') return older(problem, { route, server })
  if (server === undefined) return problem
  const { name, url } = server
  if (problem.code === 'UNAUTHORIZED') {
    return new Problem('UNAUTHORIZED', `${name} does not know the token, or it was revoked`, {
      hint: `get another, on the server: cowshed token create; then, here: cowshed server add ${name === url ? 'NAME' : name} ${url} --token-stdin`,
      cause: problem,
    })
  }
  return problem
}

function older(cause: Problem, { route, server }: Refused): Problem {
  const { method, path } = endpoints[route]
  const place = `${method} ${path}`
  return server === undefined
    ? new Problem('ROUTE_NOT_FOUND', `the daemon that runs is older than this program: it has no ${place}`, {
        hint: 'end it with SIGTERM, its sheds run on; the next command starts another: cowshed version shows its pid',
        cause,
      })
    : new Problem('ROUTE_NOT_FOUND', `${server.name} is older than this program: it has no ${place}`, {
        hint: `update cowshed there; what it has: cowshed -s ${server.name} version`,
        cause,
      })
}
