import { createHash, type Hash } from 'node:crypto'
import { leafBytes } from './chunk-index.ts'

/** Hashes a lower leaf by leaf, as its bytes come, in pieces of any size. */
export class LeafHasher {
  readonly #leaves: Buffer[] = []
  #hash: Hash = createHash('sha256')
  #filled = 0

  update(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      const piece = chunk.subarray(at, at + leafBytes - this.#filled)
      this.#hash.update(piece)
      this.#filled += piece.length
      at += piece.length
      if (this.#filled === leafBytes) this.#close()
    }
  }

  /** The hashes of all leaves, one after another; nothing may come after it. */
  finish(): Buffer {
    if (this.#filled > 0) this.#close()
    return Buffer.concat(this.#leaves)
  }

  #close(): void {
    this.#leaves.push(this.#hash.digest())
    this.#hash = createHash('sha256')
    this.#filled = 0
  }
}
