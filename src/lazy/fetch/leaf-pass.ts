import { Problem } from '../../base/index.ts'
import { leafBytes } from '../../formats/index.ts'
import type { LeafCache } from '../cache/leaf-cache.ts'
import type { LeafClaims } from '../cache/leaf-claims.ts'
import type { LazyCounters } from '../counters.ts'
import type { LeafUse } from '../trace/leaf-use.ts'
import type { Flight } from './flight.ts'
import type { Fragments } from './fragments.ts'
import type { HowToRead, PartOrigins, Segment } from './part-origins.ts'

export interface OpenLeafPass {
  readonly flight: Flight
  /** The leaf after the last that is fetched now. */
  readonly end: number
  readonly cache: LeafCache
  /** Those of it may be taken by others as soon as they are kept. */
  readonly claims: LeafClaims | undefined
  readonly origins: PartOrigins
  readonly fragments: Fragments
  readonly counters: LazyCounters
  readonly use: LeafUse
  /** Bytes have come that had never come before. */
  readonly onGain: () => void
}

/** One try to fetch what is left of a flight, or of what it has claimed: its bytes in their order, cut into leaves, each verified and kept as soon as it is whole. */
export class LeafPass {
  readonly #options: OpenLeafPass
  /** Where the bytes that were taken end in the lower. */
  #at: number
  /** The leaf that is being put together, as far as it has come. */
  #leaf: Buffer
  /** Where its bytes came from last. */
  #from: Segment['from'] = 'registry'

  constructor(options: OpenLeafPass) {
    const { flight, cache } = options
    this.#options = options
    this.#at = flight.next * leafBytes
    this.#leaf = Buffer.allocUnsafe(cache.hashes.lengthOf(flight.next))
  }

  /** @throws Problem DIGEST_MISMATCH when a leaf is wrong; what the origins throw. `flight.next` tells how far it came */
  async run(how: HowToRead): Promise<void> {
    const { flight, cache, fragments, origins } = this.#options
    const end = Math.min(this.#options.end * leafBytes, cache.hashes.bytes)
    await this.#take(fragments.headOf(flight.next))
    const tail = fragments.tailOf(this.#options.end - 1)
    const until = Math.max(this.#at, end - tail.length)
    if (until > this.#at) await this.#readEach(origins.segments(this.#at, until), { ...how, until })
    if (this.#at < end) await this.#take(tail.subarray(tail.length - (end - this.#at)))
    if (flight.next < this.#options.end)
      throw new Problem('INTERNAL', `what was to bring leaf ${flight.next} ended before it`)
  }

  /** While one comes the next one is asked for: they are of different blobs, and each would cost a round trip. */
  async #readEach(segments: readonly Segment[], { until, signal, mirrors }: HowToReadUntil): Promise<void> {
    const ending = new AbortController()
    const how = { mirrors, signal: AbortSignal.any([signal, ending.signal]) }
    try {
      let next: AsyncIterable<Buffer> | undefined
      for (const [at, segment] of segments.entries()) {
        const pieces = next ?? begun(segment.read(how))
        const following = segments[at + 1]
        next = following?.from === 'registry' ? begun(following.read(how)) : undefined
        await this.#read(segment, pieces, until)
      }
    } finally {
      ending.abort()
    }
  }

  async #read(segment: Segment, pieces: AsyncIterable<Buffer>, until: number): Promise<void> {
    const { flight, counters, onGain } = this.#options
    const from = this.#at
    this.#from = segment.from
    const edges = this.#edges(segment, from, until)
    let at = segment.start
    for await (const piece of pieces) {
      // What comes again and again and ends in the same place is no gain.
      if (at + piece.length > flight.furthest) onGain()
      flight.furthest = Math.max(flight.furthest, at + piece.length)
      const wanted = piece.subarray(Math.max(0, from - at), Math.max(0, until - at))
      if (segment.from === 'host') counters.hostBytes += wanted.length
      else counters.fetchedBytes += wanted.length
      for (const edge of edges) edge.add(piece, at)
      at += piece.length
      await this.#take(wanted)
    }
    for (const edge of edges) edge.keep()
  }

  /** What a segment has of the leaf before the first one that is wanted, and of the one after the last: parts of them, or they would be wanted too. */
  #edges({ start, end }: Segment, from: number, until: number): Edge[] {
    const { fragments } = this.#options
    const edges: Edge[] = []
    if (start < from && from % leafBytes === 0 && start > from - leafBytes) {
      edges.push(new Edge(start, from, (bytes) => fragments.keepTail(from / leafBytes - 1, bytes)))
    }
    if (end > until && until % leafBytes === 0 && end < until + leafBytes) {
      edges.push(new Edge(until, end, (bytes) => fragments.keepHead(until / leafBytes, bytes)))
    }
    return edges
  }

  async #take(bytes: Buffer): Promise<void> {
    const { flight, end } = this.#options
    let rest = bytes
    while (rest.length > 0 && flight.next < end) {
      const count = rest.copy(this.#leaf, this.#at - flight.next * leafBytes)
      this.#at += count
      rest = rest.subarray(count)
      if (this.#at === flight.next * leafBytes + this.#leaf.length) await this.#land()
    }
  }

  async #land(): Promise<void> {
    const { flight, cache, claims, fragments, use } = this.#options
    const { hashes } = cache
    const leaf = flight.next
    if (!hashes.accepts(leaf, this.#leaf)) {
      throw new Problem(
        'DIGEST_MISMATCH',
        `what came for byte ${leaf * leafBytes} of the rootfs is not what was published`,
        {
          hint: 'the publication is damaged, or somebody between changes it: publish the image again',
          data: { leaf },
        },
      )
    }
    if (this.#from === 'registry') use.fetched(leaf)
    await cache.keep(leaf, this.#leaf)
    claims?.release(leaf, leaf + 1)
    fragments.drop(leaf)
    // What is fetched ahead is most of what comes: its bytes are where they belong, and their buffer is used again.
    const isReusable = !flight.isNextWanted && cache.isVerified(leaf)
    flight.land(isReusable ? undefined : this.#leaf)
    if (flight.next === hashes.count) return
    const length = hashes.lengthOf(flight.next)
    if (!isReusable || this.#leaf.length !== length) this.#leaf = Buffer.allocUnsafe(length)
  }
}

interface HowToReadUntil extends HowToRead {
  readonly until: number
}

/** The same pieces; the first one is asked for at once. */
function begun(pieces: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  const iterator = pieces[Symbol.asyncIterator]()
  let first: Promise<IteratorResult<Buffer>> | undefined = iterator.next()
  // Whoever takes it hears of it.
  first.catch(() => {})
  const next = () => {
    const result = first ?? iterator.next()
    first = undefined
    return result
  }
  const end = async () => (await iterator.return?.()) ?? { done: true as const, value: undefined }
  return { [Symbol.asyncIterator]: () => ({ next, return: end }) }
}

/** The bytes of one range, out of pieces that come in order. */
class Edge {
  readonly #from: number
  readonly #until: number
  readonly #kept: (bytes: Buffer) => void
  readonly #parts: Buffer[] = []

  constructor(from: number, until: number, kept: (bytes: Buffer) => void) {
    this.#from = from
    this.#until = until
    this.#kept = kept
  }

  add(piece: Buffer, at: number): void {
    const part = piece.subarray(Math.max(0, this.#from - at), Math.max(0, this.#until - at))
    if (part.length > 0) this.#parts.push(part)
  }

  keep(): void {
    this.#kept(Buffer.concat(this.#parts))
  }
}
