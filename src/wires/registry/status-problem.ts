import { Problem, type ProblemCode, printable } from '../../base/index.ts'
import { type PassingDetails, PassingProblem } from '../patience/attempts.ts'
import { parseRetryAfter } from './headers/parse-retry-after.ts'
import { type HttpResponse, headerOf } from './http/http-message.ts'
import { readErrors } from './http/registry-errors.ts'
import type { Transport } from './http/transport.ts'

interface Circumstances {
  readonly transport: Transport
  /** As people write it. */
  readonly registry: string
  /** After "cannot". */
  readonly doing: string
  /** Why credentials could not be had. */
  readonly notes: readonly string[]
}

/** Statuses of servers that are busy, or of proxies that do not reach them. */
const passing = new Set([408, 425, 429, 499, 500, 502, 503, 504, 520, 521, 522, 524])

/** What an answer means that was not hoped for. Its body is read. */
export async function statusProblem(response: HttpResponse, circumstances: Circumstances): Promise<Problem> {
  const { transport, registry, doing, notes } = circumstances
  const { status, url, authorization } = response
  const { text, codes } = await readErrors(transport, response, [secretOf(authorization)])
  const foreign = url.origin !== transport.home.origin
  const who = foreign ? `${url.host}, where ${registry} sends its clients,` : registry
  const said = text === '' ? '' : `: ${text}`
  const message = printable(`cannot ${doing}: ${who} ${meaning(status)}${said}`)
  const retryAfterMs = parseRetryAfter(headerOf(response, 'retry-after') ?? '')
  const code = foreign ? 'REGISTRY_FAILED' : codeOf(status)
  const data = { registry, status, ...(codes.length === 0 ? {} : { codes }) }
  const hint = hintFor(code, { registry, notes, retryAfterMs, text })
  const details: PassingDetails = { data, retryAfterMs, ...(hint === undefined ? {} : { hint }) }
  // The links that a registry makes to its storage are good for a while: with the next try comes another.
  if (passing.has(status) || (foreign && status >= 400)) return new PassingProblem(code, message, details)
  return new Problem(code, message, { data, ...(hint === undefined ? {} : { hint }) })
}

/** A password or token that the registry may quote. */
function secretOf(authorization: string | undefined): string | undefined {
  return authorization?.split(' ')[1]
}

function codeOf(status: number): ProblemCode {
  if (status === 401 || status === 403) return 'REGISTRY_UNAUTHORIZED'
  if (status === 404) return 'REGISTRY_NOT_FOUND'
  return status === 429 ? 'REGISTRY_THROTTLED' : 'REGISTRY_FAILED'
}

function meaning(status: number): string {
  switch (status) {
    case 401:
      return 'wants to know who asks'
    case 403:
      return 'does not allow it'
    case 404:
      return 'has no such thing'
    case 429:
      return 'has been asked too often'
    default:
      return `answered ${status}`
  }
}

interface HintMatter {
  readonly registry: string
  readonly notes: readonly string[]
  readonly retryAfterMs: number | undefined
  readonly text: string
}

function hintFor(code: ProblemCode, { registry, notes, retryAfterMs, text }: HintMatter): string | undefined {
  switch (code) {
    case 'REGISTRY_UNAUTHORIZED':
      return loginHint(registry, notes)
    case 'REGISTRY_THROTTLED':
      return retryAfterMs === undefined
        ? `log in for a higher limit: docker login ${registry}; or set mirrors in config.toml`
        : `try again in ${Math.ceil(retryAfterMs / 1000)} s, or log in for a higher limit: docker login ${registry}`
    case 'REGISTRY_NOT_FOUND':
      return 'check how it is written; some registries say so too of what one has to log in for'
    case 'REGISTRY_FAILED':
      return /HTTP request to an HTTPS server/i.test(text)
        ? `it speaks https: take plain_http of registries."${registry}" out of config.toml, or leave out --insecure`
        : undefined
    default:
      return undefined
  }
}

/** Where credentials were looked for, and what was wrong there. */
export function loginHint(registry: string, notes: readonly string[]): string {
  const asked = 'as the user that the daemon runs as'
  const why = notes.length === 0 ? '' : ` (${notes.join('; ')})`
  return `log in ${asked}: docker login ${registry}, or skopeo login ${registry}; credentials are read from ~/.docker/config.json and containers/auth.json${why}`
}
