import { Problem } from '../../base/index.ts'
import { type AttemptOptions, retrying, unlessCancelled } from '../patience/attempts.ts'
import type { Patience } from '../patience/patience.ts'
import { type Access, Authorizer } from './auth/authorizer.ts'
import { findCredentials } from './auth/find-credentials.ts'
import { BlobLinks } from './blob-links.ts'
import { parseChallenges } from './headers/parse-challenges.ts'
import { follow } from './http/follow.ts'
import type { Resolve } from './http/guard.ts'
import { type Body, discard, type HttpRequest, type HttpResponse, headerOf, type Method } from './http/http-message.ts'
import { Transport } from './http/transport.ts'
import { statusProblem } from './status-problem.ts'

export interface OpenEndpoint {
  /** As people write it: `docker.io`. */
  readonly registry: string
  readonly plainHttp: boolean
  readonly ca?: string | undefined
  readonly patience: Patience
  readonly env: Readonly<Record<string, string | undefined>>
  readonly resolve?: Resolve | undefined
}

export interface RegistryRequest {
  readonly method: Method
  /** Below `/v2/`, or where the registry said. */
  readonly target: string | URL
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Made anew for each try. */
  readonly body?: (() => Body) | undefined
  readonly access: Access
  /** Statuses that are answers; any other becomes a Problem. */
  readonly expect: readonly number[]
  /** For messages, after "cannot": `read docker.io/library/debian:12`. */
  readonly doing: string
  readonly signal?: AbortSignal | undefined
  readonly extraMs?: number | undefined
}

/** One registry as a client sees it: a base URL, whoever one is there, and its connections. */
export class Endpoint {
  readonly registry: string
  readonly transport: Transport
  readonly patience: Patience
  readonly links = new BlobLinks()
  readonly #authorizer: Authorizer

  constructor({ registry, plainHttp, ca, patience, env, resolve }: OpenEndpoint) {
    this.registry = registry
    this.patience = patience
    this.transport = new Transport({ home: baseUrl(registry, plainHttp), ca, patience, env, resolve })
    const find = (repository: { registry: string; path: string }) => findCredentials(repository, env)
    this.#authorizer = new Authorizer({ transport: this.transport, registry, find })
  }

  /** Asks until there is an answer, or it is no longer worth asking. */
  async ask<T>(request: RegistryRequest, use: (response: HttpResponse) => Promise<T>): Promise<T> {
    return await this.retrying(async () => await use(await this.send(request)), request.signal)
  }

  async retrying<T>(work: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    const options: AttemptOptions = { patience: this.patience, signal }
    return await retrying(work, options)
  }

  /**
   * One try, with credentials when the registry wants them.
   *
   * @throws PassingProblem when another try may succeed; Problem REGISTRY_*, CANCELLED
   */
  async send(request: RegistryRequest): Promise<HttpResponse> {
    const url =
      typeof request.target === 'string' ? new URL(`/v2/${request.target}`, this.transport.home) : request.target
    const own = url.origin === this.transport.home.origin
    const known = own ? await unlessCancelled(this.#authorizer.header(request.access), request.signal) : undefined
    let response = await this.#exchange(url, request, known)
    // Only the registry itself is shown credentials, however its storage asks for them.
    if (response.status === 401 && own && response.url.origin === url.origin) {
      const header = await this.#answerChallenge(response, request, known)
      if (header !== undefined) {
        await discard(response)
        response = await this.#exchange(url, request, header)
      }
    }
    if (request.expect.includes(response.status)) return response
    const { transport, registry } = this
    const notes = response.status === 401 ? await this.#authorizer.notes(request.access.path) : []
    throw await statusProblem(response, { transport, registry, doing: request.doing, notes })
  }

  async close(): Promise<void> {
    await this.transport.close()
  }

  /** What to come again with; undefined when there is nothing that has not been tried. */
  async #answerChallenge(
    response: HttpResponse,
    { access, signal }: RegistryRequest,
    used: string | undefined,
  ): Promise<string | undefined> {
    try {
      const challenges = parseChallenges(headerOf(response, 'www-authenticate') ?? '')
      return await unlessCancelled(this.#authorizer.challenged(challenges, access, used), signal)
    } catch (error) {
      await discard(response)
      throw error
    }
  }

  async #exchange(url: URL, request: RegistryRequest, authorization: string | undefined): Promise<HttpResponse> {
    const { method, headers, body, signal, extraMs } = request
    const message: HttpRequest = {
      method,
      url,
      headers: { ...headers, ...(authorization === undefined ? {} : { authorization }) },
      body: body?.(),
      signal,
      extraMs,
    }
    return await follow(this.transport, message)
  }
}

/** @throws Problem INVALID_REQUEST for what is more, or less, than a host and a port */
function baseUrl(registry: string, plainHttp: boolean): URL {
  const host = registry === 'docker.io' ? 'registry-1.docker.io' : registry
  const text = `${plainHttp ? 'http' : 'https'}://${host}`
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.href === `${url?.origin}/` && url.username === '') return url
  throw new Problem('INVALID_REQUEST', `not a registry: ${JSON.stringify(registry.slice(0, 120))}`)
}
