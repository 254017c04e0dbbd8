import { setTimeout as sleep } from 'node:timers/promises'
import { isProblem, Problem } from '../base/index.ts'
import { type BootTrace, type ChunkIndex, type ChunkMap, leafBytes } from '../formats/index.ts'
import type { BlockSource } from '../wires/index.ts'
import { LeafCache } from './cache/leaf-cache.ts'
import { LeafClaims } from './cache/leaf-claims.ts'
import { LeafHashes } from './cache/leaf-hashes.ts'
import { TurnBudget } from './cache/turn-budget.ts'
import { UnknownHashes } from './cache/unknown-hashes.ts'
import { type LazyCounters, newCounters } from './counters.ts'
import type { Landed } from './fetch/flight.ts'
import { LeafFetcher } from './fetch/leaf-fetcher.ts'
import { type OriginState, Outage, type OutageListener, type OutagePolicy } from './fetch/outage.ts'
import { type LocalPart, PartOrigins, type ReadStored } from './fetch/part-origins.ts'
import { RequestLine, type Urgency } from './fetch/request-line.ts'
import { type LeafHeat, leafHeat } from './leaf-heat.ts'
import { LeafUse } from './trace/leaf-use.ts'
import { replayWindows } from './trace/replay-windows.ts'

export interface OpenLazyLower {
  /** What the lower is; its digest was verified. */
  readonly index: ChunkIndex
  /** The sparse file that keeps what was fetched. */
  readonly path: string
  /** That file is a lower that was whole once: it is read, and nothing is kept there. */
  readonly isFinal?: boolean | undefined
  /** It is stored as it is: nothing of it has to come first, and of its leaves it may be that nothing is known. */
  readonly plain?: { readonly hashes: 'known' | UnknownHashes } | undefined
  /** Reads a blob of the registry: one try, that ends with the first failure. */
  readonly readStored: ReadStored
  /** Files of this host that may have parts of it, by the number of the part. */
  readonly local?: ReadonlyMap<number, readonly LocalPart[]> | undefined
  readonly policy: OutagePolicy
  readonly listener: OutageListener
  /** What will be read: it is fetched ahead as soon as it is known. Must not reject. */
  readonly trace?: Promise<BootTrace | undefined> | undefined
  readonly signal?: AbortSignal | undefined
}

/** A lower of which only some is here: what is read is fetched first. Every byte that it gives was verified. */
export interface LazyLower extends BlockSource, AsyncDisposable {
  readonly counters: Readonly<LazyCounters>
  /** Leaves of 64 KiB, and how many of them this process has not seen to be right. */
  readonly leaves: { readonly count: number; readonly missing: number }
  /** What of it seems to be here, runs of zeros included. */
  hereBytes(): number
  /** What of it seems to be here, was read, and was fetched and not read. */
  heat(): LeafHeat
  /** Whether the registry gives what is asked for. */
  readonly origin: OriginState
  /** Of one whose leaves have no hashes: nothing of it was verified so far, or all of it was and is wrong. */
  readonly doubt?: 'unverified' | 'wrong' | undefined
  /** Resolved when this process has seen all of it to be right, and what it has kept is durable; rejected when that fails. @throws Problem NO_SPACE, IO_FAILED */
  readonly whole: Promise<void>
  /** Leaves beyond the bootstrap in the order in which they were read first, as many as a boot trace may have. */
  readonly touched: readonly number[]
  /** Fetches all that is missing, behind whatever is read meanwhile, and makes it durable. Goes on through outages. @throws Problem CANCELLED */
  fill(options: FillOptions): Promise<void>
}

export interface FillOptions {
  /** Of the lower; as fast as it goes unless told. */
  readonly bytesPerSecond?: number | undefined
  readonly signal: AbortSignal
}

/** Requests to one registry at a time. */
const maxRequests = 8
/** Leaves that all who read look at in one turn of the event loop: a millisecond or two of hashing. */
const leavesATurn = 16
/** Of a hint: nobody reads further at once. */
const maxHinted = 512
/** A window of the bootstrap: 8 MiB, which is all of it for most images. */
const maxBootstrapWindow = 128
/** A window of a fill. */
const fillLeaves = 64
/** After a failure of the fill, which nobody waits for. */
const fillPauseMs = 1_000

/**
 * Opens a lower that need not be here, and brings its bootstrap: from then on names, modes and sizes of all of its files need no registry.
 *
 * @throws Problem as reads do, when the bootstrap cannot be had; NO_SPACE, IO_FAILED
 */
export async function openLazyLower(options: OpenLazyLower): Promise<LazyLower> {
  const lower = await Lower.open(options)
  try {
    lower.replayWhenKnown(options.trace)
    await lower.bringBootstrap(options.signal)
    return lower
  } catch (error) {
    await lower[Symbol.asyncDispose]()
    throw error
  }
}

class Lower implements LazyLower {
  readonly counters: LazyCounters
  readonly whole: Promise<void>
  readonly #cache: LeafCache
  readonly #fetcher: LeafFetcher
  readonly #outage: Outage
  readonly #looks = new TurnBudget(leavesATurn)
  readonly #use: LeafUse
  readonly #map: ChunkMap
  readonly #bootstrapLeaves: number
  #isClosed = false

  static async open(options: OpenLazyLower): Promise<Lower> {
    const { index, path, isFinal, plain, readStored, local = new Map(), policy, listener } = options
    const counters = newCounters()
    const origins = new PartOrigins({ index, readStored, local, counters, isPlain: plain !== undefined })
    const { lowerBytes } = origins.map
    const hashes = plain?.hashes instanceof UnknownHashes ? plain.hashes : new LeafHashes(index, lowerBytes)
    const cache = await LeafCache.open({ path, hashes, counters, isFinal })
    // What others keep there can be believed by its hash alone.
    const claims = cache.isFinal || hashes instanceof UnknownHashes ? undefined : new LeafClaims(cache.fd)
    const outage = new Outage(policy, listener)
    const bootstrapBytes = plain === undefined ? bootstrapOf(index) : 0
    const bootstrapLeaves = Math.ceil(bootstrapBytes / leafBytes)
    const use = new LeafUse({ hashes, counters, bootstrap: bootstrapLeaves })
    const line = new RequestLine(maxRequests)
    const fetcher = new LeafFetcher({ cache, claims, origins, line, outage, counters, use })
    return new Lower({ counters, cache, fetcher, use, outage, map: origins.map, bootstrapLeaves })
  }

  constructor({ counters, cache, fetcher, use, outage, map, bootstrapLeaves }: LowerParts) {
    this.counters = counters
    this.#cache = cache
    this.#fetcher = fetcher
    this.#use = use
    this.#outage = outage
    this.#map = map
    this.#bootstrapLeaves = bootstrapLeaves
    // Somebody may be interested, and need not be.
    this.whole = quiet(cache.whole.then(() => cache.sync()))
  }

  get bytes(): number {
    return this.#cache.hashes.bytes
  }

  get leaves() {
    return { count: this.#cache.hashes.count, missing: this.#cache.missing }
  }

  hereBytes(): number {
    return this.#cache.presence.bytes()
  }

  heat(): LeafHeat {
    return leafHeat(this.#cache.presence, this.#use)
  }

  get origin(): OriginState {
    return this.#outage.state
  }

  get touched(): readonly number[] {
    return this.#use.touched
  }

  read(offset: number, length: number): Buffer | Promise<Buffer> {
    this.#noteUse(offset, length)
    return this.#isVerified(offset, length) ? this.#cache.read(offset, length) : this.#readMissing(offset, length)
  }

  readAtOnce(offset: number, bytes: Buffer): boolean {
    if (!this.#isVerified(offset, bytes.length)) return false
    this.#noteUse(offset, bytes.length)
    this.#cache.readInto(bytes, offset)
    return true
  }

  hint(offset: number, length: number): void {
    const first = leafOf(offset)
    void this.#bringLater(first, Math.min(leafOf(offset + length - 1), first + maxHinted) + 1)
  }

  runAt(offset: number, length: number): { length: number; isZero: boolean } {
    const { hashes } = this.#cache
    const leaf = leafOf(offset)
    const leaves = hashes.runFrom(leaf, leafOf(offset + length - 1) + 1)
    return { isZero: hashes.isZeros(leaf), length: Math.min(length, (leaf + leaves) * leafBytes - offset) }
  }

  file(): number | undefined {
    return this.#cache.missing === 0 ? this.#cache.fd : undefined
  }

  async bringBootstrap(signal: AbortSignal | undefined): Promise<void> {
    const coming: Promise<Landed>[] = []
    for (let leaf = 0; leaf < this.#bootstrapLeaves; leaf++) {
      if (signal?.aborted) throw new Problem('CANCELLED', 'it was stopped on request')
      if (await this.#has(leaf)) continue
      coming.push(quiet(this.#bring(leaf, Math.min(maxBootstrapWindow, this.#bootstrapLeaves - leaf))))
    }
    await Promise.all(coming)
  }

  /** Nobody waits for it, and nobody need hear of what went wrong: whoever reads it does. */
  replayWhenKnown(trace: Promise<BootTrace | undefined> | undefined): void {
    const replaying = trace?.then(async (known) => {
      if (known !== undefined) await this.#replay(known)
    })
    replaying?.catch(() => {})
  }

  async fill({ bytesPerSecond = Number.POSITIVE_INFINITY, signal }: FillOptions): Promise<void> {
    const begun = performance.now()
    let filled = 0
    for (let leaf = 0; leaf < this.#cache.hashes.count; leaf++) {
      while (!(await this.#has(leaf))) {
        if (signal.aborted) throw new Problem('CANCELLED', 'it was stopped on request')
        // It could be fetched, and not be put in its place.
        if (this.#cache.isFinal) break
        filled += await this.#fillFrom(leaf, signal)
        const ahead = (filled / bytesPerSecond) * 1000 - (performance.now() - begun)
        if (ahead > 0) await sleep(ahead, undefined, { signal }).catch(() => {})
      }
    }
    await this.#cache.sync()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    await this.#fetcher.close()
    await this.#cache[Symbol.asyncDispose]()
  }

  #noteUse(offset: number, length: number): void {
    const last = leafOf(offset + length - 1)
    for (let leaf = leafOf(offset); leaf <= last; leaf++) this.#use.read(leaf)
  }

  #isVerified(offset: number, length: number): boolean {
    const last = leafOf(offset + length - 1)
    for (let leaf = leafOf(offset); leaf <= last; leaf++) if (!this.#cache.isVerified(leaf)) return false
    return true
  }

  /**
   * What of some leaves is not here and not on its way; whoever reads it hears of what went wrong.
   *
   * @param leavesFrom how many to fetch from a missing one on; as many as for a read unless told
   */
  async #bringLater(first: number, end: number, leavesFrom?: (leaf: number) => number): Promise<void> {
    for (let leaf = first; leaf < end; leaf++) {
      if (this.#cache.isVerified(leaf) || this.#fetcher.isComing(leaf)) continue
      const isHere = await this.#has(leaf)
      if (this.#isClosed) return
      if (!isHere) quiet(this.#want(leaf, 'later', leavesFrom?.(leaf)))
    }
  }

  /** Whether a leaf is here and right; when that has to be looked at, in a turn that is not too long for others. */
  async #has(leaf: number): Promise<boolean> {
    if (!this.#cache.isVerified(leaf)) await this.#looks.next()
    return this.#cache.has(leaf)
  }

  async #replay(trace: BootTrace): Promise<void> {
    for (const { first, count } of replayWindows(trace, this.#map)) {
      const end = first + count
      await this.#bringLater(first, end, (leaf) => end - leaf)
    }
  }

  /** @returns the bytes that may have come */
  async #fillFrom(leaf: number, signal: AbortSignal): Promise<number> {
    try {
      await this.#want(leaf, 'later', fillLeaves)
      // It came, and could not be kept.
      if (!this.#cache.has(leaf)) await sleep(fillPauseMs, undefined, { signal }).catch(() => {})
    } catch (error) {
      if (isProblem(error, 'CANCELLED')) throw error
      await sleep(fillPauseMs, undefined, { signal }).catch(() => {})
    }
    return fillLeaves * leafBytes
  }

  async #readMissing(offset: number, length: number): Promise<Buffer> {
    const begun = performance.now()
    const coming = new Map<number, Promise<Landed>>()
    for (let leaf = leafOf(offset); leaf <= leafOf(offset + length - 1); leaf++) {
      if (!(await this.#has(leaf))) coming.set(leaf, quiet(this.#bring(leaf)))
    }
    const bytes = Buffer.allocUnsafe(length)
    for (let leaf = leafOf(offset); leaf <= leafOf(offset + length - 1); leaf++) {
      const landed = await coming.get(leaf)
      const from = Math.max(offset, leaf * leafBytes)
      const until = Math.min(offset + length, (leaf + 1) * leafBytes)
      const place = bytes.subarray(from - offset, until - offset)
      if (landed === undefined) this.#cache.readInto(place, from)
      else landed.copy(place, 0, from - leaf * leafBytes, until - leaf * leafBytes)
    }
    if (coming.size > 0) {
      this.counters.misses++
      this.counters.stallMs += performance.now() - begun
    }
    return bytes
  }

  /** Until it is here. @param window leaves to fetch from it on; as for a read unless told @returns its bytes; undefined when the cache has it */
  async #bring(leaf: number, window?: number): Promise<Landed> {
    // What ended before its turn may have been fetched with a leaf that cannot be had: from then on alone.
    for (let leaves = window; !this.#cache.has(leaf); leaves = 1) {
      const landed = await this.#want(leaf, 'demand', leaves)
      if (landed !== undefined) return landed
    }
    return undefined
  }

  async #want(leaf: number, urgency: Urgency, leaves?: number): Promise<Landed> {
    return await this.#fetcher.want({ leaf, urgency, leaves })
  }
}

interface LowerParts {
  readonly counters: LazyCounters
  readonly cache: LeafCache
  readonly fetcher: LeafFetcher
  readonly outage: Outage
  readonly use: LeafUse
  readonly map: ChunkMap
  readonly bootstrapLeaves: number
}

function bootstrapOf({ parts }: ChunkIndex): number {
  return parts[0]?.lengths.reduce((sum, length) => sum + length, 0) ?? 0
}

function leafOf(offset: number): number {
  return Math.floor(offset / leafBytes)
}

/** It may fail before its turn to be looked at has come. */
function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {})
  return promise
}
