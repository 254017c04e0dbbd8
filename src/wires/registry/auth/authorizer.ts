import { Problem } from '../../../base/index.ts'
import type { Challenge } from '../headers/parse-challenges.ts'
import type { Transport } from '../http/transport.ts'
import type { RepositoryName } from '../registry.ts'
import type { Credentials, FoundCredentials } from './credentials.ts'
import { requestToken } from './request-token.ts'

export interface OpenAuthorizer {
  readonly transport: Transport
  /** As people write the registry. */
  readonly registry: string
  readonly find: (repository: RepositoryName) => Promise<FoundCredentials>
}

/** What a request is about: it is authorized for that and for nothing else. */
export interface Access {
  /** The repository whose credentials count. */
  readonly path: string
  /** `repository:team/app:pull`, one or more. */
  readonly scopes: readonly string[]
}

interface Grant {
  /** The value of Authorization. */
  readonly header: string
  /** Of performance.now(). */
  readonly expiresAt: number
}

/** Gets the Authorization of requests to one registry: only when it asks for one, and again when what it had no longer counts. */
export class Authorizer {
  readonly #options: OpenAuthorizer
  readonly #grants = new Map<string, Grant>()
  readonly #asking = new Map<string, Promise<Grant | undefined>>()
  #challenge: Challenge | undefined

  constructor(options: OpenAuthorizer) {
    this.#options = options
  }

  /** What to send with a request; undefined before the registry has asked for anything. @throws what `challenged` throws */
  async header(access: Access): Promise<string | undefined> {
    const grant = this.#grants.get(keyOf(access))
    if (grant === undefined) return undefined
    if (grant.expiresAt > performance.now() || this.#challenge === undefined) return grant.header
    // Renewed before a body is sent in vain.
    return await this.#renew(this.#challenge, access)
  }

  /**
   * A registry has answered 401 to a request with that Authorization. Undefined: there is nothing else to try.
   *
   * @throws Problem REGISTRY_UNAUTHORIZED (also by the token server), REGISTRY_UNREACHABLE, REGISTRY_FAILED
   */
  async challenged(
    challenges: readonly Challenge[],
    access: Access,
    used: string | undefined,
  ): Promise<string | undefined> {
    const challenge = ['bearer', 'basic'].flatMap((scheme) => challenges.filter((one) => one.scheme === scheme))[0]
    if (challenge === undefined) return undefined
    this.#challenge = challenge
    // Another request may have renewed it meanwhile.
    const known = this.#grants.get(keyOf(access))
    if (known !== undefined && known.header !== used && known.expiresAt > performance.now()) return known.header
    const header = await this.#renew(challenge, access)
    return header === used ? undefined : header
  }

  /** What could not be asked for credentials, for a hint. */
  async notes(path: string): Promise<readonly string[]> {
    return (await this.#options.find({ registry: this.#options.registry, path })).notes
  }

  /** One at a time for the same access, however many requests wait for it. */
  async #renew(challenge: Challenge, access: Access): Promise<string | undefined> {
    const key = keyOf(access)
    const asking = this.#asking.get(key) ?? this.#ask(challenge, access).finally(() => this.#asking.delete(key))
    this.#asking.set(key, asking)
    const grant = await asking
    this.#forgetExpired()
    if (grant === undefined) this.#grants.delete(key)
    else this.#grants.set(key, grant)
    return grant?.header
  }

  async #ask(challenge: Challenge, access: Access): Promise<Grant | undefined> {
    const { transport, registry, find } = this.#options
    const { credentials } = await find({ registry, path: access.path })
    if (credentials?.kind === 'registry-token') return lasting(`Bearer ${checkedToken(credentials.token)}`)
    if (challenge.scheme === 'basic') return basicGrant(credentials)
    const { token, seconds } = await requestToken(transport, { challenge, scopes: access.scopes, credentials })
    // Renewed a little early, so that it is still good when the request arrives.
    return { header: `Bearer ${checkedToken(token)}`, expiresAt: performance.now() + seconds * 1000 * 0.9 }
  }

  #forgetExpired(): void {
    for (const [key, { expiresAt }] of this.#grants) if (expiresAt < performance.now()) this.#grants.delete(key)
  }
}

function basicGrant(credentials: Credentials | undefined): Grant | undefined {
  if (credentials?.kind !== 'password') return undefined
  const { username, password } = credentials
  return lasting(`Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`)
}

function lasting(header: string): Grant {
  return { header, expiresAt: Number.POSITIVE_INFINITY }
}

/** A token goes into a header: nothing in it may end that. */
function checkedToken(token: string): string {
  if (/^[\x21-\x7e]{1,65536}$/.test(token)) return token
  throw new Problem('REGISTRY_FAILED', 'the token for the registry is not one that a request can carry')
}

function keyOf({ path, scopes }: Access): string {
  return [path, ...scopes].join(' ')
}
