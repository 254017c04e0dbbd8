import { errnoCode, isProblem, Problem, printable } from '../../../base/index.ts'
import { cancelled, PassingProblem } from '../../patience/attempts.ts'

interface Circumstances {
  /** The registry. */
  readonly home: URL
  /** Who did not answer: the registry, or a host that it names. */
  readonly url: URL
  readonly signal?: AbortSignal | undefined
}

/** What it means that an exchange failed below HTTP: most such failures pass, those of certificates and protocols do not. */
export function networkProblem(error: unknown, { home, url, signal }: Circumstances): Problem {
  if (signal?.aborted) return cancelled(signal)
  const known = [error, ...causesOf(error)].find((cause) => isProblem(cause))
  if (isProblem(known)) return known
  const code = codeOf(error)
  const host = url.origin === home.origin ? home.host : `${url.host}, where ${home.host} sends its clients,`
  const message = printable(`no conversation with ${host}: ${reasonOf(error, code)}`)
  const lasting = lastingHint(code, home.host)
  const details = {
    cause: error,
    data: { registry: home.host, host: url.host, ...(code === undefined ? {} : { code }) },
  }
  if (lasting !== undefined) return new Problem('REGISTRY_UNREACHABLE', message, { ...details, hint: lasting })
  return new PassingProblem('REGISTRY_UNREACHABLE', message, {
    ...details,
    hint: `see whether this host reaches it: curl -v ${url.origin}/v2/`,
  })
}

/** Failures that the next try would meet again, with what to do about them. */
function lastingHint(code: string | undefined, host: string): string | undefined {
  if (code === undefined) return undefined
  if (/^(?:ERR_SSL_WRONG_VERSION_NUMBER|ERR_SSL_PACKET_LENGTH_TOO_LONG|EPROTO|ERR_SSL_HTTP_REQUEST)$/.test(code)) {
    return `if it speaks http without TLS: registries."${host}".plain_http = true in config.toml, or --insecure`
  }
  if (/^(?:DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_|CERT_UNTRUSTED)/.test(code)) {
    return `if you trust it: registries."${host}".ca = "/path/of/its-ca.pem" in config.toml`
  }
  if (/^(?:CERT_|ERR_TLS_CERT_)/.test(code)) return "its certificate has to be renewed, or is another host's"
  if (code.startsWith('HPE_') || code === 'UND_ERR_HEADERS_OVERFLOW')
    return 'what answers there does not speak HTTP as registries do'
  return undefined
}

function reasonOf(error: unknown, code: string | undefined): string {
  switch (code) {
    case 'ECONNREFUSED':
      return 'nobody listens there (ECONNREFUSED)'
    case 'ENOTFOUND':
      return 'there is no such host (ENOTFOUND)'
    case 'EAI_AGAIN':
      return 'its name cannot be looked up now (EAI_AGAIN)'
    case 'UND_ERR_CONNECT_TIMEOUT':
    case 'ETIMEDOUT':
      return 'it did not answer in time'
    case 'UND_ERR_HEADERS_TIMEOUT':
    case 'UND_ERR_BODY_TIMEOUT':
      return 'it fell silent'
    case 'UND_ERR_SOCKET':
    case 'ECONNRESET':
    case 'EPIPE':
      return 'the connection broke'
    default:
      return `${error instanceof Error ? error.message.slice(0, 300) : String(error)}${code === undefined ? '' : ` (${code})`}`
  }
}

function codeOf(error: unknown): string | undefined {
  const codes = [error, ...causesOf(error)].map(errnoCode)
  // What OpenSSL says is deeper than what undici makes of it.
  return codes.findLast((code) => code !== undefined)
}

function causesOf(error: unknown): unknown[] {
  const causes: unknown[] = []
  for (let next = error; next instanceof Error && causes.length < 5; ) {
    const members: unknown = next instanceof AggregateError ? next.errors[0] : undefined
    next = (next.cause ?? members) as unknown
    if (next !== undefined) causes.push(next)
  }
  return causes
}
