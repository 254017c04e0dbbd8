import type { Dispatcher } from 'undici'
import { errnoCode, isProblem, Problem, printable } from '../../base/index.ts'
import { Attempts, PassingProblem, type Patience } from '../patience/index.ts'
import { s3Problem } from './s3-problem.ts'
import { type S3Credentials, signRequest } from './sign-request.ts'

export type Method = 'GET' | 'PUT' | 'DELETE' | 'HEAD'

export interface S3Request {
  readonly method: Method
  readonly url: URL
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Buffer | undefined
  readonly signal?: AbortSignal | undefined
  /** Of the answer's body. */
  readonly maxBytes: number
  /** Statuses that are answers, and no failures. */
  readonly expected: readonly number[]
}

export interface S3Response {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Buffer
}

export interface OpenS3Exchange {
  readonly region: string
  /** Asked for each request: what is lent for a time is renewed. */
  readonly credentials: () => Promise<S3Credentials>
  readonly patience: Patience
}

/** Signed exchanges with one store, tried again while that helps. */
export class S3Exchange {
  readonly #options: OpenS3Exchange
  #agent: Promise<Dispatcher> | undefined

  constructor(options: OpenS3Exchange) {
    this.#options = options
  }

  /** @throws Problem BACKUP_TARGET_UNREACHABLE, BACKUP_TARGET_FAILED, CANCELLED */
  async send(request: S3Request): Promise<S3Response> {
    const { patience } = this.#options
    const attempts = new Attempts({ patience, signal: request.signal })
    for (;;) {
      try {
        return await this.#sendOnce(request)
      } catch (error) {
        await attempts.pauseAfter(error)
      }
    }
  }

  async close(): Promise<void> {
    const agent = await this.#agent?.catch(() => undefined)
    this.#agent = undefined
    await agent?.destroy()
  }

  async #sendOnce(request: S3Request): Promise<S3Response> {
    const { method, url, body, headers = {}, signal } = request
    const { region, credentials } = this.#options
    const signed = await signRequest({ method, url, body, headers, region, credentials: await credentials() })
    let response: S3Response
    try {
      response = await this.#exchange(request, signed)
    } catch (error) {
      throw networkProblem(error, url, signal)
    }
    if (request.expected.includes(response.status)) return response
    throw s3Problem(request, response)
  }

  async #exchange(request: S3Request, signed: Record<string, string>): Promise<S3Response> {
    const { method, url, body, signal, maxBytes } = request
    const { idleMs } = this.#options.patience
    this.#agent ??= openAgent(this.#options.patience)
    // Node's HTTP client makes the length and the host itself.
    const { host: _host, 'content-length': _length, ...headers } = signed
    const {
      statusCode,
      headers: answered,
      body: stream,
    } = await (await this.#agent).request({
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      method,
      headers: { 'user-agent': 'cowshed', ...headers },
      body: body ?? null,
      headersTimeout: idleMs,
      bodyTimeout: idleMs,
      ...(signal === undefined ? {} : { signal }),
    })
    const chunks: Buffer[] = []
    let bytes = 0
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > maxBytes) {
        throw new Problem('BACKUP_TARGET_FAILED', `${url.host} answers with more than was asked for`)
      }
      chunks.push(chunk)
    }
    return { status: statusCode, headers: answered, body: Buffer.concat(chunks) }
  }
}

/** Takes 70 ms: not at the start of the daemon, which may never see such a store. What HTTPS_PROXY and NO_PROXY say is heeded. */
async function openAgent({ connectMs }: Patience): Promise<Dispatcher> {
  const { EnvHttpProxyAgent } = await import('undici')
  return new EnvHttpProxyAgent({ connect: { timeout: connectMs }, pipelining: 1 })
}

function networkProblem(error: unknown, url: URL, signal: AbortSignal | undefined): Problem {
  if (isProblem(error)) return error
  if (signal?.aborted) return new Problem('CANCELLED', 'it was stopped on request', { cause: signal.reason })
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  const reason = cause instanceof Error ? cause.message.slice(0, 300) : String(cause)
  const message = printable(`no conversation with ${url.host}: ${reason}`)
  const details = { cause: error, hint: `see whether this host reaches it: curl -v ${url.origin}/` }
  // A certificate that is not trusted is not trusted the next time either.
  return /CERT|SSL|SELF_SIGNED|EPROTO|UNABLE_TO/.test(errnoCode(cause) ?? '')
    ? new Problem('BACKUP_TARGET_UNREACHABLE', message, details)
    : new PassingProblem('BACKUP_TARGET_UNREACHABLE', message, details)
}
