import { Problem, printable } from '../../../base/index.ts'
import { discard, type HttpRequest, type HttpResponse, headerOf } from './http-message.ts'
import type { Transport } from './transport.ts'

const maxRedirects = 5

/**
 * An exchange whose answer may be elsewhere; what is sent with a body is not sent on. Credentials never leave the origin that they are for, not even to come back to it, and what
 * began with TLS goes on with TLS.
 *
 * @throws what Transport.exchange throws; Problem REGISTRY_FAILED for a redirect that must not be followed
 * @see distribution-spec: "clients MUST NOT forward the Authorization header to another host"; CVE-2020-15157
 */
export async function follow(transport: Transport, request: HttpRequest): Promise<HttpResponse> {
  let current = request
  for (let count = 0; ; count++) {
    const response = await transport.exchange(current)
    if (!isRedirect(response.status) || !reads(request)) return response
    await discard(response)
    const url = resolveTarget(transport.home, current.url, headerOf(response, 'location'))
    if (count === maxRedirects) throw refused(transport.home, `it redirects more than ${maxRedirects} times`)
    const { authorization, ...others } = current.headers
    const kept = authorization !== undefined && url.origin === current.url.origin ? { authorization } : {}
    current = { ...current, url, headers: { ...others, ...kept } }
  }
}

function reads({ method }: HttpRequest): boolean {
  return method === 'GET' || method === 'HEAD'
}

function isRedirect(status: number): boolean {
  return status === 301 || status === 302 || status === 303 || status === 307 || status === 308
}

/**
 * A URL that a registry names, in a Location or a Link.
 *
 * @throws Problem REGISTRY_FAILED when it is none, or a step down from https
 */
export function resolveTarget(home: URL, base: URL, target: string | undefined): URL {
  if (target === undefined || target.length > 16 * 1024) throw refused(home, 'it names no place to go on')
  let url: URL
  try {
    url = new URL(target, base)
  } catch (error) {
    throw refused(home, 'the place that it names is not a URL', error)
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw refused(home, `it names a ${url.protocol} URL`)
  if (base.protocol === 'https:' && url.protocol === 'http:') {
    throw refused(home, `it sends its clients from https to http (${url.origin})`)
  }
  // They would be somebody's credentials for somewhere.
  url.username = ''
  url.password = ''
  return url
}

function refused(home: URL, why: string, cause?: unknown): Problem {
  return new Problem('REGISTRY_FAILED', printable(`${home.host} cannot be followed: ${why}`), {
    hint: 'if a proxy stands before the registry: it has to pass on X-Forwarded-Proto and Host',
    cause,
  })
}
