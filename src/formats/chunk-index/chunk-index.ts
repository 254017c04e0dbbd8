import { type Digest, Problem } from '../../base/index.ts'
import { blockSize } from '../erofs/index.ts'

/** Bytes of the lower that one hash covers: what is verified before it is used. The last leaf of a lower may be shorter. */
export const leafBytes = 64 * 1024
/** SHA-256. */
export const leafHashBytes = 32
/** Bytes of the lower in one chunk at most. */
export const maxChunkBytes = 1 << 20
export const maxChunkBlocks = maxChunkBytes / blockSize

export const chunkIndexLimits = {
  /** Of an index: that of a lower of about 100 GiB. */
  bytes: 64 << 20,
  /** Bootstrap and data blobs: the layers that an image may have, and one. */
  parts: 1025,
} as const

/**
 * All that is needed to fetch any range of a lower and to know that it is right, from the digest of this index alone.
 *
 * The lower is its parts one after the other: the bootstrap, then the data blob of each layer that has one, each a multiple of 4 KiB.
 */
export interface ChunkIndex {
  /** Of the writer that made the lower: base/data-layout.ts. */
  readonly writerVersion: number
  /** How the lower is laid out: `plain`. */
  readonly profile: string
  readonly parts: readonly StoredPart[]
  /** The hashes of the lower's leaves, one after another. */
  readonly leaves: Buffer
}

/** One part of a lower as it is stored in a registry: a blob of zstd frames, one for each chunk, in order. */
export interface StoredPart {
  /** Of the blob as it is stored; sha256. */
  readonly digest: Digest
  /** Bytes of the lower in each chunk. */
  readonly lengths: Uint32Array
  /** Bytes of each chunk's frame. */
  readonly storedLengths: Uint32Array
}

/** How many leaves a lower of so many bytes has. */
export function leafCount(lowerBytes: number): number {
  return Math.ceil(lowerBytes / leafBytes)
}

/** The most bytes that a chunk of so many bytes may take when it is stored: more than any compressor makes of what it cannot compress. */
export function maxStoredLength(length: number): number {
  return length + length / 128 + 1024
}

export function sum(lengths: Uint32Array): number {
  return lengths.reduce((total, length) => total + length, 0)
}

export function invalidIndex(why: string): Problem {
  return new Problem('CHUNK_INDEX_INVALID', `not a usable chunk index: ${why}`)
}
