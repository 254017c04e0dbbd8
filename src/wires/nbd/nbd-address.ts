import { isIPv4 } from 'node:net'
import { maxSocketPath, Problem } from '../../base/index.ts'

/** Where an NBD server listens. */
export type NbdAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }

/**
 * `unix:/run/image.sock`, or `tcp:127.0.0.1:10809`. NBD asks nobody who he is: over TCP it is for this host alone.
 *
 * @throws Problem INVALID_REQUEST, PATH_TOO_LONG
 */
export function parseNbdAddress(text: string): NbdAddress {
  const [, path] = /^unix:(\/.*)$/.exec(text) ?? []
  if (path !== undefined) return { kind: 'unix', path: checkedPath(path) }
  const [, six, four, port] = /^tcp:(?:\[([^\]]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text) ?? []
  const host = six ?? four
  if (host === undefined || Number(port) > 65535) {
    throw new Problem('INVALID_REQUEST', `not an address of an NBD server: ${JSON.stringify(text.slice(0, 120))}`, {
      hint: 'write it like unix:/run/image.sock or tcp:127.0.0.1:10809',
    })
  }
  if (host !== 'localhost' && host !== '::1' && !(isIPv4(host) && host.startsWith('127.'))) {
    throw new Problem('INVALID_REQUEST', `NBD asks nobody who he is, and ${host} can be reached by others`, {
      hint: 'listen on 127.0.0.1, and let others come by ssh -L or a tunnel of your own',
    })
  }
  return { kind: 'tcp', host, port: Number(port) }
}

/** As clients write it: `nbd+unix:///?socket=…`, `nbd://127.0.0.1:10809`. */
export function formatNbdAddress(address: NbdAddress): string {
  if (address.kind === 'unix') return `nbd+unix:///?socket=${address.path}`
  const host = address.host.includes(':') ? `[${address.host}]` : address.host
  return `nbd://${host}:${address.port}`
}

function checkedPath(path: string): string {
  if (Buffer.byteLength(path) <= maxSocketPath) return path
  throw new Problem('PATH_TOO_LONG', `a socket's path may have ${maxSocketPath} bytes: ${path}`)
}
