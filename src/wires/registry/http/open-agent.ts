import type { LookupFunction } from 'node:net'
import type { SecureContext } from 'node:tls'
import type { Dispatcher } from 'undici'
import { Problem } from '../../../base/index.ts'
import type { Patience } from '../../patience/patience.ts'

export interface OpenAgent {
  readonly patience: Patience
  /** Whom to trust; not needed where there is no TLS. */
  readonly secureContext: SecureContext | undefined
  readonly lookup: LookupFunction
  /** Asked to pass everything on; it looks names up itself, then. */
  readonly proxy: URL | undefined
}

/** A pool of connections. */
export async function openAgent({ patience, secureContext, lookup, proxy }: OpenAgent): Promise<Dispatcher> {
  const { Agent, ProxyAgent } = await loadUndici()
  // One request at a time on a connection: an answer to one is never taken for that to another.
  const options = { bodyTimeout: patience.idleMs, pipelining: 1 }
  const tls = { timeout: patience.connectMs, ...(secureContext && { secureContext }) }
  if (proxy === undefined) return new Agent({ ...options, connect: { ...tls, lookup } })
  return new ProxyAgent({ ...options, uri: proxy.href, proxyTunnel: false, requestTls: tls, proxyTls: tls })
}

/** Takes 70 ms: not at the start of the daemon, which may never talk to a registry. */
async function loadUndici(): Promise<typeof import('undici')> {
  try {
    return await import('undici')
  } catch (error) {
    throw new Problem('INTERNAL', 'the HTTP client is not installed with cowshed', { cause: error })
  }
}
