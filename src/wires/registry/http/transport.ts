import { lookup } from 'node:dns/promises'
import type { Agent } from 'undici'
import { Problem } from '../../../base/index.ts'
import { throwIfCancelled } from '../attempts.ts'
import type { Patience } from '../patience.ts'
import { answerLookup, Guard, type Resolve } from './guard.ts'
import type { HttpRequest, HttpResponse } from './http-message.ts'
import { networkProblem } from './network-problem.ts'
import { paced } from './paced.ts'
import { trustedContext } from './trusted-context.ts'
import { Watch } from './watch.ts'

export interface OpenTransport {
  /** The registry itself: `https://registry.example`. */
  readonly home: URL
  /** A file of certificates that vouch for it. */
  readonly ca?: string | undefined
  readonly patience: Patience
  /** Instead of the system's resolver. */
  readonly resolve?: Resolve | undefined
}

/** Single exchanges with a registry, and with the hosts that it names. No redirects, no retries, no credentials. */
export class Transport {
  readonly home: URL
  readonly #options: OpenTransport
  readonly #guard: Guard
  readonly #resolve: Resolve
  #agents: Promise<{ own: Agent; foreign: Agent }> | undefined

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
    const agents = await this.#agents?.catch(() => undefined)
    await Promise.all([agents?.own.destroy(), agents?.foreign.destroy()])
  }

  async #agentFor(url: URL): Promise<Agent> {
    this.#agents ??= this.#openAgents()
    const agents = await this.#agents.catch((error: unknown) => {
      this.#agents = undefined
      throw error
    })
    if (url.origin === this.home.origin) return agents.own
    await this.#guard.checkLiteral(url)
    return agents.foreign
  }

  async #openAgents(): Promise<{ own: Agent; foreign: Agent }> {
    const { Agent } = await loadUndici()
    const { ca, patience } = this.#options
    const secureContext = this.home.protocol === 'https:' || ca !== undefined ? await trustedContext(ca) : undefined
    const options = {
      bodyTimeout: patience.idleMs,
      // Answers of registries come in their time; what matters is that an answer to one request is never taken for that to another.
      pipelining: 1,
    }
    const connect = { timeout: patience.connectMs, ...(secureContext === undefined ? {} : { secureContext }) }
    const resolve = this.#resolve
    return {
      own: new Agent({
        ...options,
        connect: {
          ...connect,
          lookup: (hostname, wanted, callback) => {
            resolve(hostname).then(
              (addresses) => answerLookup(addresses, wanted, callback),
              (error: NodeJS.ErrnoException) => callback(error, ''),
            )
          },
        },
      }),
      foreign: new Agent({ ...options, connect: { ...connect, lookup: this.#guard.lookup } }),
    }
  }
}

/** Takes 70 ms: not at the start of the daemon, which may never talk to a registry. */
async function loadUndici(): Promise<typeof import('undici')> {
  try {
    return await import('undici')
  } catch (error) {
    throw new Problem('INTERNAL', 'the HTTP client is not installed with cowshed', { cause: error })
  }
}
