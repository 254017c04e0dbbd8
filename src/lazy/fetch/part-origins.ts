import { read } from 'node:fs'
import { promisify } from 'node:util'
import { Problem, problemFromSystem } from '../../base/index.ts'
import { type ChunkIndex, type ChunkMap, chunkMap, type LocatedChunk, type StoredPart } from '../../formats/index.ts'
import { decompress } from '../../host/index.ts'
import type { ReadBlob } from '../../wires/index.ts'
import type { LazyCounters } from '../counters.ts'

/** The bytes of a blob; as Repository.readBlob. */
export type ReadStored = (request: ReadBlob) => AsyncIterable<Buffer>

/** A file of this host that is said to have the bytes of a part, from `offset` on. */
export interface LocalPart {
  readonly fd: number
  readonly offset: number
  /** Whether so many bytes of the part are there, from a byte of the part on; all of them are when there is nothing to ask. */
  has?(from: number, length: number): boolean
}

export interface OpenPartOrigins {
  readonly index: ChunkIndex
  readonly readStored: ReadStored
  /** By the number of the part, those to look at first come first. Nothing is believed of them. */
  readonly local: ReadonlyMap<number, readonly LocalPart[]>
  readonly counters: LazyCounters
  /** Chunks are stored as they are, not each as a zstd frame. */
  readonly isPlain?: boolean | undefined
}

/** A run of the lower that comes from one place, in order and at once. */
export interface Segment {
  /** Where it begins and ends in the lower: it may have more at both ends than was asked for, because chunks come whole. */
  readonly start: number
  readonly end: number
  readonly from: 'host' | 'registry'
  /** Exactly the bytes from `start` to `end`, or an error. */
  read(how: HowToRead): AsyncIterable<Buffer>
}

export interface HowToRead {
  readonly signal: AbortSignal
  /** False when what a mirror gave was wrong. */
  readonly mirrors: boolean
}

/** Where the bytes of a lower can be had: each part in a file of this host, or in a blob of the registry. */
export class PartOrigins {
  readonly map: ChunkMap
  readonly #options: OpenPartOrigins
  readonly #local: Map<number, readonly LocalPart[]>
  /** Where each part begins in the lower. */
  readonly #begins: number[]

  constructor(options: OpenPartOrigins) {
    this.#options = options
    this.#local = new Map(options.local)
    this.map = chunkMap(options.index)
    let at = 0
    this.#begins = options.index.parts.map(({ lengths }) => {
      at += sum(lengths)
      return at - sum(lengths)
    })
  }

  /** The segments that hold a range, in order. */
  segments(from: number, until: number): Segment[] {
    const runs: Run[] = []
    for (const chunk of this.map.locate(from, until - from)) {
      const local = this.#localOf(chunk, from, until)
      const run = runs.at(-1)
      if (run !== undefined && run.last.part === chunk.part && run.local === local) run.last = chunk
      else runs.push({ local, first: chunk, last: chunk })
    }
    return runs.map((run) => this.#segment(run, from, until))
  }

  /** What a file of this host gave for some of a range was wrong: from now on the registry is asked. */
  distrustHost(from: number, until: number): void {
    for (const { part } of this.map.locate(from, until - from)) this.#local.delete(part)
  }

  /** The file of this host that has what is wanted of a chunk. */
  #localOf({ part, offset, length }: LocatedChunk, from: number, until: number): LocalPart | undefined {
    const start = Math.max(from, offset)
    const end = Math.min(until, offset + length)
    const begin = this.#begins[part] ?? 0
    return this.#local.get(part)?.find(({ has }) => has === undefined || has(start - begin, end - start))
  }

  #segment({ local, first, last }: Run, from: number, until: number): Segment {
    if (local !== undefined) {
      const start = Math.max(from, first.offset)
      const end = Math.min(until, last.offset + last.length)
      const at = local.offset + start - (this.#begins[first.part] ?? 0)
      return { start, end, from: 'host', read: () => readFrom(local.fd, at, end - start) }
    }
    const [start, end] = [first.offset, last.offset + last.length]
    return { start, end, from: 'registry', read: (how) => this.#fetch(first, last, how) }
  }

  async *#fetch(first: LocatedChunk, last: LocatedChunk, { signal, mirrors }: HowToRead): AsyncGenerator<Buffer> {
    const { index, readStored, counters, isPlain } = this.#options
    const part = index.parts[first.part]
    if (part === undefined) throw new Problem('INTERNAL', 'a chunk without a part')
    const [from, until] = [first.storedOffset, last.storedOffset + last.storedLength]
    const length = last.offset + last.length - first.offset
    counters.requests++
    counters.requestedBytes += until - from
    const stored = readStored({
      ...{ digest: part.digest, size: storedBytes(part), from, until, signal },
      ...(mirrors ? {} : { mirrors: false as const }),
    })
    const pieces = isPlain === true ? stored : decompress(stored, { compression: 'zstd', maxBytes: length })
    yield* exactly(pieces, length)
  }
}

/** Chunks in a row that come from one place. */
interface Run {
  readonly local: LocalPart | undefined
  readonly first: LocatedChunk
  last: LocatedChunk
}

async function* exactly(pieces: AsyncIterable<Buffer>, length: number): AsyncGenerator<Buffer> {
  let bytes = 0
  for await (const piece of pieces) {
    bytes += piece.length
    yield piece
  }
  if (bytes < length) throw new Problem('SIZE_MISMATCH', `a chunk of the rootfs gives ${bytes} bytes of ${length}`)
}

/** Not a stream: one that is left before its end closes the file, which is somebody else's. */
async function* readFrom(fd: number, offset: number, length: number): AsyncGenerator<Buffer> {
  for (let done = 0; done < length; ) {
    const piece = Buffer.allocUnsafe(Math.min(pieceBytes, length - done))
    const { bytesRead } = await readFile(fd, piece, 0, piece.length, offset + done).catch((error: unknown) => {
      throw problemFromSystem(error, 'read a layer of this host')
    })
    if (bytesRead === 0)
      throw new Problem('SIZE_MISMATCH', `a layer of this host ends after ${done} bytes of ${length}`)
    yield piece.subarray(0, bytesRead)
    done += bytesRead
  }
}

const pieceBytes = 256 * 1024
const readFile = promisify(read)

function storedBytes({ storedLengths }: StoredPart): number {
  return sum(storedLengths)
}

function sum(lengths: Uint32Array): number {
  return lengths.reduce((total, length) => total + length, 0)
}
