import { Problem } from '../../base/index.ts'

/** What becomes of reads while nothing comes from the registry: they fail after so many milliseconds, or wait for as long as it takes. */
export type OutagePolicy = { readonly kind: 'fail'; readonly afterMs: number } | { readonly kind: 'hang' }

export interface OutageListener {
  /** A request has failed, and will be made again. */
  degraded(problem: Problem): void
  /** One has succeeded after that. */
  recovered(): void
}

/** What is known of the registry. `unasked`: nothing has come from it yet, and nothing has failed. */
export type OriginState =
  | { readonly state: 'unasked' | 'gives' }
  | { readonly state: 'degraded'; readonly since: Date; readonly problem: Problem }

/** After a fetch was given up, others need not wait as long to learn the same: so long at most they fail at once, and so long at most the next one tries. */
const restMs = 5_000

/** Whether the registry gives anything: how long a fetch may wait for it, and who is told. One for each registry. */
export class Outage {
  readonly #policy: OutagePolicy
  readonly #listener: OutageListener
  #state: OriginState = { state: 'unasked' }
  /** The fetch that was given up last, until one has succeeded. */
  #givenUp: { readonly at: number; readonly problem: Problem } | undefined
  /** When bytes came last: milliseconds of performance.now. */
  lastGain = Number.NEGATIVE_INFINITY

  constructor(policy: OutagePolicy, listener: OutageListener) {
    this.#policy = policy
    this.#listener = listener
  }

  get state(): OriginState {
    return this.#state
  }

  /**
   * How long a fetch that begins now may go without a byte, in milliseconds.
   *
   * @throws Problem that of the fetch that was given up a moment ago
   */
  patience(): number {
    if (this.#policy.kind === 'hang') return Number.POSITIVE_INFINITY
    if (this.#givenUp === undefined) return this.#policy.afterMs
    const shortMs = Math.min(this.#policy.afterMs, restMs)
    if (performance.now() - this.#givenUp.at < shortMs) throw this.#givenUp.problem
    return shortMs
  }

  failed(problem: Problem): void {
    if (this.#state.state === 'degraded') return
    this.#state = { state: 'degraded', since: new Date(), problem }
    this.#listener.degraded(problem)
  }

  gaveUp(problem: Problem): void {
    this.#givenUp = { at: performance.now(), problem }
  }

  gained(): void {
    this.lastGain = performance.now()
    this.#givenUp = undefined
    const before = this.#state.state
    if (before === 'gives') return
    this.#state = { state: 'gives' }
    if (before === 'degraded') this.#listener.recovered()
  }
}

/** What a reader is told when nothing came for too long. @param cause what went wrong last, when anything did */
export function nothingCame(waitedMs: number, cause: unknown): Problem {
  const why = cause instanceof Error ? `: ${cause.message}` : ''
  return new Problem('REGISTRY_UNREACHABLE', `nothing came for ${Math.round(waitedMs / 1000)} s${why}`, { cause })
}
