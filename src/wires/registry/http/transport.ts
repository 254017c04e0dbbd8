import { lookup } from 'node:dns/promises'
import type { LookupFunction } from 'node:net'
import type { SecureContext } from 'node:tls'
import type { Dispatcher } from 'undici'
import type { Problem } from '../../../base/index.ts'
import { throwIfCancelled } from '../../patience/attempts.ts'
import type { Patience } from '../../patience/patience.ts'
import { answerLookup, Guard, type Resolve } from './guard.ts'
import type { HttpRequest, HttpResponse } from './http-message.ts'
import { networkProblem } from './network-problem.ts'
import { type OpenAgent, openAgent } from './open-agent.ts'
import { paced } from './paced.ts'
import { proxyFor } from './proxy-for.ts'
import { trustedContext } from './trusted-context.ts'
import { Watch } from './watch.ts'

export interface OpenTransport {
  /** The registry itself: `https://registry.example`. */
  readonly home: URL
  /** A file of certificates that vouch for it. */
  readonly ca?: string | undefined
  readonly patience: Patience
  /** What it says of HTTP proxies. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** Instead of the system's resolver. */
  readonly resolve?: Resolve | undefined
}

interface OpenAgentFor extends Pick<OpenAgent, 'lookup' | 'proxy'> {
  readonly isPlain: boolean
}

/** Single exchanges with a registry, and with the hosts that it names. No redirects, no retries, no credentials. */
export class Transport {
  readonly home: URL
  readonly #options: OpenTransport
  readonly #guard: Guard
  readonly #resolve: Resolve
  readonly #agents = new Map<string, Promise<Dispatcher>>()
  #context: Promise<SecureContext> | undefined

  constructor(options: OpenTransport) {
    this.home = options.home
    this.#options = options
    this.#resolve = options.resolve ?? ((hostname) => lookup(hostname, { all: true }))
    this.#guard = new Guard(options.home.hostname, this.#resolve)
  }

  /** @throws PassingProblem REGISTRY_UNREACHABLE; Problem REGISTRY_UNREACHABLE, REGISTRY_FAILED, CANCELLED */
  async exchange(request: HttpRequest): Promise<HttpResponse> {
    const { method, url, headers, signal, extraMs = 0 } = request
    throwIfCancelled(signal)
    const agent = await this.#agentFor(url)
    const { connectMs, idleMs } = this.#options.patience
    const watch = new Watch({ signal, silenceMs: connectMs + idleMs + extraMs })
    try {
      const response = await agent.request({
        origin: url.origin,
        path: `${url.pathname}${url.search}`,
        method,
        headers: { 'user-agent': 'cowshed', ...headers },
        body: watch.body(request.body),
        signal: watch.signal,
        headersTimeout: idleMs + extraMs,
      })
      watch.answered(response.body)
      return {
        status: response.statusCode,
        headers: response.headers,
        body: response.body,
        url,
        authorization: headers.authorization,
      }
    } catch (error) {
      watch.end()
      throw this.problem(error, request)
    }
  }

  /** What a failure of the network means, also one in the middle of a body. */
  problem(error: unknown, { url, signal }: Pick<HttpRequest, 'url' | 'signal'>): Problem {
    return networkProblem(error, { home: this.home, url, signal })
  }

  /** A body's chunks. @throws what exchange throws */
  async *read(response: HttpResponse, signal?: AbortSignal): AsyncGenerator<Buffer> {
    try {
      yield* paced(response.body as AsyncIterable<Buffer>, this.#options.patience.idleMs)
    } catch (error) {
      throw this.problem(error, { url: response.url, signal })
    }
  }

  async close(): Promise<void> {
    const agents = [...this.#agents.values()]
    this.#agents.clear()
    // Of one that could not be opened, whoever wanted it was told.
    await Promise.all(agents.map(async (agent) => await (await agent.catch(() => undefined))?.destroy()))
  }

  /** The registry itself may be anywhere; who else is to be talked to must not be in the client's own network. */
  async #agentFor(url: URL): Promise<Dispatcher> {
    const foreign = url.origin !== this.home.origin
    if (foreign) await this.#guard.checkLiteral(url)
    const proxy = proxyFor(url, this.#options.env)
    const key = proxy?.href ?? (foreign ? 'foreign' : 'own')
    const known = this.#agents.get(key)
    if (known !== undefined) return await known
    const isPlain = !foreign && proxy === undefined && url.protocol === 'http:'
    const opening = this.#openAgent({ lookup: foreign ? this.#guard.lookup : this.#lookup, proxy, isPlain })
    this.#agents.set(key, opening)
    // A file of certificates that is mended counts from then on.
    opening.catch(() => this.#agents.delete(key))
    return await opening
  }

  /** @param isPlain it will only ever talk to the registry itself, and without TLS: reading the certificates of a system takes 50 ms */
  async #openAgent({ lookup, proxy, isPlain }: OpenAgentFor): Promise<Dispatcher> {
    const { patience } = this.#options
    const secureContext = isPlain ? undefined : await this.#trusted()
    return await openAgent({ patience, secureContext, lookup, proxy })
  }

  async #trusted(): Promise<SecureContext> {
    this.#context ??= trustedContext(this.#options.ca)
    return await this.#context.catch((error: unknown) => {
      this.#context = undefined
      throw error
    })
  }

  readonly #lookup: LookupFunction = (hostname, options, callback) => {
    this.#resolve(hostname).then(
      (addresses) => answerLookup(addresses, options, callback),
      (error: NodeJS.ErrnoException) => callback(error, ''),
    )
  }
}
