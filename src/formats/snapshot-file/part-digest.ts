import { type Digest, DigestHasher } from '../../base/index.ts'
import type { Segment } from '../tar/index.ts'

/**
 * The digest of a file with holes: of its data, one segment after another, and then of where they are: offset and length of each run that no hole divides,
 * 64 bits each, the most significant first. A file of a terabyte with a gigabyte in it costs a gigabyte.
 */
export class PartDigest {
  readonly #hasher = new DigestHasher()
  readonly #segments: { offset: number; length: number }[] = []
  /** How far the file has come. */
  #at = 0

  data(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.#hasher.update(bytes)
    const last = this.#segments.at(-1)
    if (last !== undefined && last.offset + last.length === this.#at) last.length += bytes.length
    else this.#segments.push({ offset: this.#at, length: bytes.length })
    this.#at += bytes.length
  }

  hole(bytes: number): void {
    this.#at += bytes
  }

  get bytes(): number {
    return this.#at
  }

  /** Nothing can be added any more. */
  digest(): Digest {
    this.#hasher.update(encodeSegments(this.#segments))
    return this.#hasher.digest()
  }
}

function encodeSegments(segments: readonly Segment[]): Buffer {
  const bytes = Buffer.alloc(16 * segments.length)
  for (const [i, { offset, length }] of segments.entries()) {
    bytes.writeBigUInt64BE(BigInt(offset), 16 * i)
    bytes.writeBigUInt64BE(BigInt(length), 16 * i + 8)
  }
  return bytes
}
