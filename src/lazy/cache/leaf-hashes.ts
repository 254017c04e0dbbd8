import { createHash } from 'node:crypto'
import { type ChunkIndex, leafBytes, leafHashBytes } from '../../formats/index.ts'

/** What is known of the leaves of a lower. */
export interface LeafTruth {
  /** Of the lower. */
  readonly bytes: number
  readonly count: number
  /** Bytes of a leaf: all have the same, but for the last. */
  lengthOf(leaf: number): number
  /** Whether these are the bytes of a leaf. */
  isRight(leaf: number, bytes: Uint8Array): boolean
  /** The same of bytes that have just been fetched. */
  accepts(leaf: number, bytes: Uint8Array): boolean
  /** Whether a leaf is known to be zeros. */
  isZeros(leaf: number): boolean
  /** How many leaves from this one on, before `end`, are alike in being zeros or not. */
  runFrom(leaf: number, end: number): number
}

/** What the leaves of a lower must be. */
export class LeafHashes implements LeafTruth {
  /** Of the lower. */
  readonly bytes: number
  readonly count: number
  readonly #hashes: Buffer
  /** 1 for each leaf that is zeros, which its hash tells. */
  readonly #zeros: Uint8Array

  constructor({ leaves }: Pick<ChunkIndex, 'leaves'>, lowerBytes: number) {
    this.bytes = lowerBytes
    this.count = leaves.length / leafHashBytes
    this.#hashes = leaves
    const full = sha256(Buffer.alloc(leafBytes))
    const last = sha256(Buffer.alloc(this.lengthOf(this.count - 1)))
    this.#zeros = new Uint8Array(this.count)
    // All that is read waits for this, and few leaves are zeros: they are searched for, not each looked at.
    for (let at = leaves.indexOf(full); at !== -1; at = leaves.indexOf(full, at + 1)) {
      if (at % leafHashBytes === 0) this.#zeros[at / leafHashBytes] = 1
    }
    this.#zeros[this.count - 1] = this.#hashOf(this.count - 1).equals(last) ? 1 : 0
  }

  /** Bytes of a leaf: all have the same, but for the last. */
  lengthOf(leaf: number): number {
    return Math.min(leafBytes, this.bytes - leaf * leafBytes)
  }

  isRight(leaf: number, bytes: Uint8Array): boolean {
    return bytes.length === this.lengthOf(leaf) && sha256(bytes).equals(this.#hashOf(leaf))
  }

  accepts(leaf: number, bytes: Uint8Array): boolean {
    return this.isRight(leaf, bytes)
  }

  isZeros(leaf: number): boolean {
    return this.#zeros[leaf] === 1
  }

  /** How many leaves from this one on, before `end`, are alike in being zeros or not. */
  runFrom(leaf: number, end: number): number {
    let at = leaf + 1
    while (at < end && this.#zeros[at] === this.#zeros[leaf]) at++
    return at - leaf
  }

  #hashOf(leaf: number): Buffer {
    return this.#hashes.subarray(leaf * leafHashBytes, (leaf + 1) * leafHashBytes)
  }
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest()
}
