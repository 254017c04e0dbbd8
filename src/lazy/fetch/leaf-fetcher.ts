import { isProblem, Problem, problemFromSystem } from '../../base/index.ts'
import { leafBytes } from '../../formats/index.ts'
import { Attempts, PassingProblem, unlessCancelled } from '../../wires/index.ts'
import type { LeafCache } from '../cache/leaf-cache.ts'
import type { LeafClaims } from '../cache/leaf-claims.ts'
import type { LazyCounters } from '../counters.ts'
import type { LeafUse } from '../trace/leaf-use.ts'
import { claimLeaves } from './claim-leaves.ts'
import { Flight, type Landed } from './flight.ts'
import { Fragments } from './fragments.ts'
import { LeafPass } from './leaf-pass.ts'
import type { Outage } from './outage.ts'
import type { PartOrigins } from './part-origins.ts'
import { ReadAhead } from './read-ahead.ts'
import type { Place, RequestLine, Urgency } from './request-line.ts'
import { SilenceWatch } from './silence-watch.ts'

export interface OpenLeafFetcher {
  readonly cache: LeafCache
  /** When other processes may fetch into the same file. */
  readonly claims: LeafClaims | undefined
  readonly origins: PartOrigins
  readonly line: RequestLine
  readonly outage: Outage
  readonly counters: LazyCounters
  readonly use: LeafUse
}

export interface WantedLeaf {
  readonly leaf: number
  readonly urgency: Urgency
  /** Leaves to fetch from it on; as many as the reads before it suggest unless told. With 1 nothing else is fetched, whatever the same chunks give. */
  readonly leaves?: number | undefined
}

/** How often a leaf may come and be wrong. */
const maxWrong = 3
/** Leaves that are here between two that are not, and are fetched with them: less than another request costs. */
const maxGap = 2
/** Between two tries of one fetch; when it ends is for the policy to say. */
const patience = {
  connectMs: 0,
  idleMs: 0,
  tries: Number.POSITIVE_INFINITY,
  firstPauseMs: 200,
  longestPauseMs: 5_000,
  totalMs: Number.POSITIVE_INFINITY,
}

interface InFlight {
  readonly flight: Flight
  readonly place: Place
}

interface Pass {
  /** The leaf after the last one. */
  readonly end: number
  readonly watch: SilenceWatch
  /** How often a leaf has come and was wrong. */
  readonly wrong: number
}

/** Fetches the leaves that are not here, each once however many want it, in this process or another, and whether or not they still do when it comes. */
export class LeafFetcher {
  readonly #options: OpenLeafFetcher
  readonly #closing = new AbortController()
  readonly #inFlight = new Map<number, InFlight>()
  readonly #readAhead = new ReadAhead()
  readonly #fragments = new Fragments()
  readonly #running = new Set<Promise<void>>()

  constructor(options: OpenLeafFetcher) {
    this.#options = options
  }

  /** Whether a leaf is on its way. */
  isComing(leaf: number): boolean {
    return this.#inFlight.has(leaf)
  }

  /**
   * Fetches a leaf that is not here, and what is likely to be wanted after it.
   *
   * @throws Problem REGISTRY_* when the registry does not give it within the policy; DIGEST_MISMATCH, COMPRESSION_INVALID, SIZE_MISMATCH when what it gives is wrong; CANCELLED
   */
  want({ leaf, urgency, leaves }: WantedLeaf): Promise<Landed> {
    const known = this.#inFlight.get(leaf)
    if (known !== undefined) {
      if (urgency === 'demand') known.place.urge()
      return known.flight.landed(leaf)
    }
    const flight = this.#window(leaf, leaves ?? this.#readAhead.leavesFrom(leaf))
    const place = this.#options.line.join(urgency)
    for (let at = flight.next; at < flight.end; at++) this.#inFlight.set(at, { flight, place })
    const running = this.#fly(flight, place)
    this.#running.add(running)
    void running.then(() => this.#running.delete(running))
    return flight.landed(leaf)
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await Promise.all(this.#running)
  }

  /** From a missing leaf to the last missing one that is worth fetching with it, and what else the same chunks give. */
  #window(leaf: number, leaves: number): Flight {
    const { cache, origins } = this.#options
    const { count, bytes } = cache.hashes
    if (leaves === 1) return new Flight(leaf, leaf + 1)
    const isMissing = (at: number) => !this.#inFlight.has(at) && !cache.has(at)
    let end = leaf + 1
    for (let at = end; at < Math.min(leaf + leaves, count) && at - end <= maxGap; at++) {
      if (this.#inFlight.has(at)) break
      if (isMissing(at)) end = at + 1
    }
    const chunks = origins.map.locate(leaf * leafBytes, Math.min(end * leafBytes, bytes) - leaf * leafBytes)
    const [firstChunk, lastChunk] = [chunks[0], chunks.at(-1)]
    const start = firstChunk?.offset ?? 0
    const stop = lastChunk === undefined ? 0 : lastChunk.offset + lastChunk.length
    let first = leaf
    while (first > 0 && (first - 1) * leafBytes >= start && isMissing(first - 1)) first--
    while (end < count && Math.min((end + 1) * leafBytes, bytes) <= stop && isMissing(end)) end++
    return new Flight(first, end)
  }

  /** Never rejects: whoever waits for a leaf hears of it there. */
  async #fly(flight: Flight, place: Place): Promise<void> {
    const [first, end] = [flight.next, flight.end]
    try {
      await this.#fetch(flight, place)
    } catch (error) {
      flight.fail(problemFromSystem(error, 'fetch what is not here'), isWrong(error) ? 'next' : 'all')
    } finally {
      place[Symbol.dispose]()
      for (let leaf = first; leaf < end; leaf++) this.#inFlight.delete(leaf)
    }
  }

  async #fetch(flight: Flight, place: Place): Promise<void> {
    const { outage, line, counters } = this.#options
    using watch = new SilenceWatch(outage, this.#closing.signal)
    const attempts = new Attempts({ patience, signal: watch.signal })
    let last: unknown
    try {
      await unlessCancelled(place.entered, watch.signal)
      watch.entered()
      for (let wrong = 0; flight.next < flight.end; ) {
        const end = await this.#claim(flight, watch)
        if (flight.next === end) break
        try {
          await this.#pass(flight, { end, watch, wrong })
          line.succeeded()
        } catch (error) {
          if (isProblem(error, 'CANCELLED')) throw error
          last = error
          if (isWrong(error)) {
            counters.wrongLeaves++
            if (++wrong === maxWrong) throw error
          } else await this.#pauseAfter(error, attempts)
        }
      }
    } catch (error) {
      throw watch.signal.aborted ? watch.reason(last) : error
    }
  }

  /** @returns the leaf after the last that is for this process to fetch now */
  async #claim(flight: Flight, watch: SilenceWatch): Promise<number> {
    const { cache, claims } = this.#options
    return claims === undefined ? flight.end : await claimLeaves({ flight, cache, claims, watch, maxGap })
  }

  /** One try, with all that has come so far taken for granted. What it does not bring others may try. */
  async #pass(flight: Flight, { end, watch, wrong }: Pass): Promise<void> {
    const { cache, claims, origins, counters, outage, use } = this.#options
    const first = flight.next
    if (wrong > 0) {
      // Something of what it was made of was wrong, and nothing says what.
      this.#fragments.drop(flight.next)
      origins.distrustHost(flight.next * leafBytes, flight.next * leafBytes + cache.hashes.lengthOf(flight.next))
    }
    const pass = new LeafPass({
      ...{ flight, end, cache, claims, origins, counters, use, fragments: this.#fragments },
      onGain: () => {
        watch.gained()
        outage.gained()
      },
    })
    try {
      await pass.run({ signal: watch.signal, mirrors: wrong < maxWrong - 1 })
    } finally {
      claims?.release(first, end)
    }
  }

  async #pauseAfter(error: unknown, attempts: Attempts): Promise<void> {
    const { outage, line, counters } = this.#options
    if (error instanceof PassingProblem) {
      counters.retries++
      outage.failed(error)
      if (error.code === 'REGISTRY_THROTTLED') line.throttled()
    }
    await attempts.pauseAfter(error)
  }
}

/** What came is not what it must be, and was not cut short by the network. */
function isWrong(error: unknown): boolean {
  if (!(error instanceof Problem) || error instanceof PassingProblem) return false
  return ['DIGEST_MISMATCH', 'COMPRESSION_INVALID', 'LIMIT_EXCEEDED', 'SIZE_MISMATCH', 'IO_FAILED'].includes(error.code)
}
