import { setTimeout as sleep } from 'node:timers/promises'
import type { LeafCache } from '../cache/leaf-cache.ts'
import type { LeafClaims } from '../cache/leaf-claims.ts'
import type { Flight } from './flight.ts'
import type { SilenceWatch } from './silence-watch.ts'

export interface ClaimLeaves {
  readonly flight: Flight
  readonly cache: LeafCache
  readonly claims: LeafClaims
  readonly watch: SilenceWatch
  /** Leaves that are here between two that are not, and are fetched with them. */
  readonly maxGap: number
}

/** How long another process that has claimed what we want may bring nothing, in milliseconds: he may have been stopped, or be a slow one. */
const longestMs = 5_000
/** Between two looks whether it is here, in milliseconds: more each time. */
const pauses = { firstMs: 1, longestMs: 16 }

/**
 * Claims the next leaves of a flight; those that another process has brought meanwhile land. While another one fetches the next he is waited for, for as long as he gets on.
 *
 * @returns the leaf after the last that is to be fetched now; nothing is when `flight.next` has reached the end
 * @throws an error when the watch ends it
 */
export async function claimLeaves({ flight, cache, claims, watch, maxGap }: ClaimLeaves): Promise<number> {
  const patience = new Patience(watch)
  while (flight.next < flight.end) {
    const first = flight.next
    const { end, othersFrom } = claims.take(first, flight.end)
    cache.lookAgain(first, end)
    while (flight.next < end && cache.isVerified(flight.next)) flight.land(undefined)
    const until = missingUntil(flight.next, { cache, maxGap, end })
    claims.release(first, flight.next)
    claims.release(until, end)
    if (flight.next < until) return until
    if (othersFrom !== undefined && !(await patience.pause(othersFrom))) return flight.end
  }
  return flight.end
}

/** @returns the leaf after the last that is missing and worth fetching with this one; this one when all are here */
function missingUntil(
  first: number,
  { cache, maxGap, end }: Pick<ClaimLeaves, 'cache' | 'maxGap'> & { readonly end: number },
): number {
  let until = first
  for (let leaf = first; leaf < end && leaf - until <= maxGap; leaf++) if (!cache.isVerified(leaf)) until = leaf + 1
  return until
}

/** With somebody who fetches what we want. Pauses are added up and no clock is looked at: what keeps this process from running keeps it from seeing that he gets on. */
class Patience {
  readonly #watch: SilenceWatch
  readonly #mostMs: number
  #pauseMs = pauses.firstMs
  #waitedMs = 0
  #othersFrom: number | undefined

  constructor(watch: SilenceWatch) {
    this.#watch = watch
    this.#mostMs = Math.min(longestMs, watch.patienceMs / 2)
  }

  /** @returns false when he was waited for long enough */
  async pause(othersFrom: number): Promise<boolean> {
    if (othersFrom !== this.#othersFrom) {
      if (this.#othersFrom !== undefined) this.#watch.gained()
      this.#othersFrom = othersFrom
      this.#waitedMs = 0
    }
    if (this.#waitedMs >= this.#mostMs) return false
    await sleep(this.#pauseMs, undefined, { signal: this.#watch.signal })
    this.#waitedMs += this.#pauseMs
    this.#pauseMs = Math.min(this.#pauseMs * 2, pauses.longestMs)
    return true
  }
}
