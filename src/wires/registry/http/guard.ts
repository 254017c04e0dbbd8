import type { LookupAddress } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { Problem, printable } from '../../../base/index.ts'
import { type AddressKind, addressKind, mayLeadTo } from './address-kind.ts'

/** Every address of a host name. */
export type Resolve = (hostname: string) => Promise<LookupAddress[]>

/**
 * Keeps a registry from sending its clients where it could not go itself: to their own loopback, network or metadata service. Names are looked
 * up once, and the addresses that were judged are those that are connected to.
 */
export class Guard {
  readonly #home: string
  readonly #resolve: Resolve
  #kinds: Promise<ReadonlySet<AddressKind>> | undefined

  /** @param home host name of the registry itself */
  constructor(home: string, resolve: Resolve) {
    this.#home = home
    this.#resolve = resolve
  }

  /** For addresses in a URL, which no lookup sees. @throws Problem REGISTRY_FAILED */
  async checkLiteral(url: URL): Promise<void> {
    const host = bareHost(url.hostname)
    if (isIP(host) !== 0) await this.#allowed(url.hostname, [{ address: host, family: isIP(host) }])
  }

  /** For net.connect and tls.connect. */
  readonly lookup: LookupFunction = (hostname, options, callback) => {
    this.#resolve(hostname)
      .then((addresses) => this.#allowed(hostname, addresses))
      .then(
        (addresses) => answerLookup(addresses, options, callback),
        (error: NodeJS.ErrnoException) => callback(error, ''),
      )
  }

  async #allowed(hostname: string, addresses: readonly LookupAddress[]): Promise<LookupAddress[]> {
    const kinds = await this.#homeKinds()
    const allowed = addresses.filter(({ address }) => mayLeadTo(addressKind(address), kinds))
    if (allowed.length === 0 && addresses.length > 0) throw this.#refusal(hostname, addresses[0]?.address ?? '')
    return allowed
  }

  /** A name that could not be looked up is looked up again the next time: what it leads to may be known then. */
  async #homeKinds(): Promise<ReadonlySet<AddressKind>> {
    this.#kinds ??= this.#resolve(bareHost(this.#home)).then(
      (addresses) => new Set(addresses.map(({ address }) => addressKind(address))),
      () => {
        this.#kinds = undefined
        return new Set()
      },
    )
    return await this.#kinds
  }

  #refusal(hostname: string, address: string): Problem {
    const where = hostname.includes(address) ? address : `${hostname} (${address})`
    return new Problem(
      'REGISTRY_FAILED',
      printable(
        `${this.#home} sends its clients to ${where}, an address of their own network, and is not in it itself`,
      ),
      { hint: 'a registry inside your network has to be called by a name that leads into it' },
    )
  }
}

export function answerLookup(
  addresses: readonly LookupAddress[],
  { all, family }: Parameters<LookupFunction>[1],
  callback: Parameters<LookupFunction>[2],
): void {
  const wanted = family === 4 || family === 'IPv4' ? 4 : family === 6 || family === 'IPv6' ? 6 : 0
  const fit = addresses.filter((address) => wanted === 0 || address.family === wanted)
  const [first] = fit
  if (first === undefined) callback(Object.assign(new Error('no address'), { code: 'ENOTFOUND' }), '')
  else if (all) callback(null, fit)
  else callback(null, first.address, first.family)
}

/** Without the brackets of IPv6. */
export function bareHost(hostname: string): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
}
