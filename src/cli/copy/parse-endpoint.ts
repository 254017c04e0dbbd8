import { Problem, parseName } from '../../base/index.ts'

export interface Endpoint {
  /** undefined for a path on this machine. */
  readonly shed: string | undefined
  readonly path: string
}

/**
 * `web:/etc/hosts` is in a shed, everything else on this machine; so is `./a:b`, and `/a:b`.
 *
 * @throws Problem INVALID_REQUEST for a path in a shed that is not absolute
 */
export function parseEndpoint(text: string): Endpoint {
  const colon = text.indexOf(':')
  if (colon < 1 || text.slice(0, colon).includes('/')) return { shed: undefined, path: local(text) }
  const shed = parseName(text.slice(0, colon), 'shed name')
  const path = text.slice(colon + 1)
  if (path.startsWith('/')) return { shed, path }
  throw new Problem('INVALID_REQUEST', `a path in a shed must be absolute: ${JSON.stringify(text.slice(0, 200))}`, {
    hint: `write ${shed}:/${path}, or ./${text} for a file on this machine`,
  })
}

function local(path: string): string {
  if (path !== '') return path
  throw new Problem('INVALID_REQUEST', 'a path is empty')
}
