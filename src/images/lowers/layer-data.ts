import { createHash } from 'node:crypto'
import type { Digest } from '../../base/index.ts'
import { blockSize } from '../../formats/index.ts'

/** Where a file's content is, in the plain data blob of its layer. */
export interface WrittenFile {
  readonly startBlock: number
  readonly sha256: Buffer
}

/**
 * Takes the contents of a layer's files, one after the other, and writes them to the layer's data blob: content that came before not a second time.
 * Synchronous where a tar reader calls it, in the middle of a header. One owner; `close` in a finally.
 *
 * @throws (every method) Problem NO_SPACE, IO_FAILED
 */
export interface LayerData {
  beginFile(): void
  write(chunk: Buffer): void
  /** A run of zeros. */
  hole(bytes: number): void
  endFile(): WrittenFile
  /** What to wait for before more comes, so that memory is bounded; undefined when there is no need. */
  settled(): Promise<void> | undefined
  /** Completes what it writes. @returns how many blocks the plain data blob has, whether it is this one or not */
  finish(diffId: Digest): Promise<number>
  close(): Promise<void>
}

/** Hashes the contents of files, and gives each that is new its place in the plain data blob. */
export class ContentPlaces {
  readonly #starts = new Map<string, number>()
  #hash = createHash('sha256')
  #bytes = 0
  /** Of the plain data blob. */
  blocks = 0

  begin(): void {
    this.#hash = createHash('sha256')
    this.#bytes = 0
  }

  add(chunk: Buffer): void {
    this.#hash.update(chunk)
    this.#bytes += chunk.length
  }

  addZeros(bytes: number): void {
    for (let left = bytes; left > 0; left -= zeros.length) this.add(zeros.subarray(0, left))
  }

  /** Where the content is that has been added, and whether it was there already. */
  end(): WrittenFile & { readonly isKnown: boolean } {
    const sha256 = this.#hash.digest()
    const key = sha256.toString('latin1')
    const known = this.#starts.get(key)
    if (known !== undefined) return { startBlock: known, sha256, isKnown: true }
    const startBlock = this.blocks
    this.#starts.set(key, startBlock)
    this.blocks += Math.ceil(this.#bytes / blockSize)
    return { startBlock, sha256, isKnown: false }
  }
}

const zeros = Buffer.alloc(64 * 1024)
