import type { Digest } from '../base/index.ts'
import { type ChunkIndex, LeafHasher, type StoredPart } from '../formats/index.ts'
import { keystream } from '../wires/registry/registry.testkit.ts'
import type { RangedBytes } from './published.testkit.ts'

/** A lower that is cut and stored as a real one, of bytes that are made up, each when it is asked for. */
export interface StandInLower {
  readonly index: ChunkIndex
  readonly lower: RangedBytes
  readonly blobs: ReadonlyMap<Digest, RangedBytes>
}

/** What a chunk holds: noise, which is stored as it is, and then one byte again and again, which takes nothing. */
interface Chunk {
  /** In the lower, and in its blob. */
  readonly offset: number
  readonly storedOffset: number
  readonly noise: Buffer
  /** Bytes of the one byte. */
  readonly rest: number
}

const longestChunk = 1 << 20
const noise = keystream(2 * longestChunk, 7)
const filler = 0x5a

/** @param parts of the real one; each chunk takes as many bytes as there, but for a few */
export function standInLower(parts: readonly StoredPart[]): StandInLower {
  const made: Chunk[] = []
  const hasher = new LeafHasher()
  const blobs = new Map<Digest, RangedBytes>()
  const stored = parts.map((part) => {
    const chunks = chunksOf(part, endOf(made.at(-1)))
    for (const chunk of chunks) for (const piece of contentOf(chunk)) hasher.update(piece)
    made.push(...chunks)
    blobs.set(part.digest, joined(chunks, { offsetOf: ({ storedOffset }) => storedOffset, piecesOf: frameOf }))
    return { ...part, storedLengths: Uint32Array.from(chunks, storedLength) }
  })
  return {
    index: { writerVersion: 2, profile: 'plain', parts: stored, leaves: hasher.finish() },
    lower: joined(made, { offsetOf: ({ offset }) => offset, piecesOf: contentOf }),
    blobs,
  }
}

function chunksOf({ lengths, storedLengths }: StoredPart, from: number): Chunk[] {
  let [offset, storedOffset] = [from, 0]
  return Array.from(lengths, (length, at) => {
    const noisy = Math.min(length, Math.max(0, (storedLengths[at] ?? 0) - frameHeaderBytes))
    const begin = offset % longestChunk
    const chunk = { offset, storedOffset, noise: noise.subarray(begin, begin + noisy), rest: length - noisy }
    offset += length
    storedOffset += storedLength(chunk)
    return chunk
  })
}

function endOf(chunk: Chunk | undefined): number {
  return chunk === undefined ? 0 : chunk.offset + chunk.noise.length + chunk.rest
}

const rest = Buffer.alloc(longestChunk, filler)

function contentOf(chunk: Chunk): Buffer[] {
  return [chunk.noise, rest.subarray(0, chunk.rest)]
}

interface Join {
  readonly offsetOf: (chunk: Chunk) => number
  readonly piecesOf: (chunk: Chunk) => Buffer[]
}

/** What chunks give one after the other, of which only what is asked for is made. */
function joined(chunks: readonly Chunk[], { offsetOf, piecesOf }: Join): RangedBytes {
  const offsets = chunks.map(offsetOf)
  return {
    subarray(from, until) {
      const first = offsets.findLastIndex((offset) => offset <= from)
      const end = offsets.findIndex((offset) => offset >= until)
      const pieces = chunks.slice(first, end === -1 ? undefined : end).flatMap(piecesOf)
      const begin = from - (offsets[first] ?? 0)
      return Buffer.concat(pieces).subarray(begin, begin + until - from)
    },
  }
}

const frameHeaderBytes = 9
const blockHeaderBytes = 3
const longestBlock = 128 * 1024
/** @see RFC 8878, 3.1.1.2 */
const blockTypes = { raw: 0, repeated: 1 } as const

/** A zstd frame of blocks that are stored as they are, and of blocks of one byte. @see RFC 8878, 3.1.1 */
function frameOf({ noise: raw, rest: repeated }: Chunk): Buffer[] {
  const header = Buffer.alloc(frameHeaderBytes)
  header.writeUInt32LE(0xfd2fb528, 0)
  // A single segment, whose size has four bytes.
  header.writeUInt8(0xa0, 4)
  header.writeUInt32LE(raw.length + repeated, 5)
  const frame: Buffer[] = [header]
  for (const [at, length] of blocksOf(raw.length)) {
    const isLast = repeated === 0 && at + length === raw.length
    frame.push(blockHeader(blockTypes.raw, length, isLast), raw.subarray(at, at + length))
  }
  for (const [at, length] of blocksOf(repeated)) {
    frame.push(blockHeader(blockTypes.repeated, length, at + length === repeated), Buffer.of(filler))
  }
  return frame
}

function storedLength({ noise: raw, rest: repeated }: Chunk): number {
  const blocks = Math.ceil(raw.length / longestBlock) + Math.ceil(repeated / longestBlock)
  return frameHeaderBytes + blocks * blockHeaderBytes + raw.length + Math.ceil(repeated / longestBlock)
}

/** Where each begins, and how long it is. */
function blocksOf(bytes: number): [number, number][] {
  return Array.from({ length: Math.ceil(bytes / longestBlock) }, (_, at) => [
    at * longestBlock,
    Math.min(longestBlock, bytes - at * longestBlock),
  ])
}

function blockHeader(type: number, size: number, isLast: boolean): Buffer {
  const header = Buffer.alloc(blockHeaderBytes)
  header.writeUIntLE((isLast ? 1 : 0) | (type << 1) | (size << 3), 0, blockHeaderBytes)
  return header
}
