import { problemFromSystem } from '../../base/index.ts'
import { blockSize } from '../../formats/index.ts'
import { alignedBuffer, DirectFile } from '../../host/index.ts'

/**
 * Bytes of one write. Written around the page cache, it is also the largest extent that btrfs makes, and btrfs gives an extent back only
 * when nobody refers to any part of it.
 */
const bufferBytes = 1 << 20
const zeros = Buffer.alloc(64 * 1024)

/**
 * A file that grows at its end, in whole blocks when it is complete. All synchronous, because a tar reader writes to it in the middle of a header.
 *
 * One owner; `close` in a finally.
 * @throws (every method) Problem NO_SPACE, IO_FAILED
 */
export class BlockFile {
  readonly #path: string
  readonly #file: DirectFile
  readonly #buffer = alignedBuffer(bufferBytes)
  /** Where in the file the buffer begins, and how much of it is filled. */
  #flushed = 0
  #filled = 0

  /** @param path must not exist */
  constructor(path: string) {
    this.#path = path
    this.#file = this.#attempt(() => new DirectFile(path))
  }

  /** Bytes so far. */
  get end(): number {
    return this.#flushed + this.#filled
  }

  append(chunk: Buffer): void {
    for (let taken = 0; taken < chunk.length; ) {
      if (this.#filled === bufferBytes) this.#flush()
      const copied = chunk.copy(this.#buffer, this.#filled, taken)
      this.#filled += copied
      taken += copied
    }
  }

  /** A run of zeros: a hole where it is long enough and the filesystem has them. */
  appendZeros(bytes: number): void {
    const skipped = bytes > 4 * blockSize ? this.#skip(bytes) : 0
    for (let left = bytes - skipped; left > 0; left -= blockSize)
      this.append(zeros.subarray(0, Math.min(left, blockSize)))
  }

  /** Up to the next whole block, with zeros. */
  pad(): void {
    const rest = this.end % blockSize
    if (rest > 0) this.append(zeros.subarray(0, blockSize - rest))
  }

  /** Forgets everything from `position` on, on disk too: what follows may leave a hole there, which must read as zeros. */
  rewind(position: number): void {
    if (position >= this.#flushed) {
      this.#filled = position - this.#flushed
      return
    }
    this.#attempt(() => this.#file.truncate(position))
    this.#flushed = position
    this.#filled = 0
  }

  /** Completes the file. @returns its size in blocks */
  finish(): number {
    this.pad()
    this.#flush()
    // A hole at the very end is only there once the size says so.
    this.#attempt(() => this.#file.truncate(this.end))
    return this.end / blockSize
  }

  close(): void {
    this.#file.close()
  }

  /** Leaves a hole for the whole blocks of a run of zeros. @returns how many bytes of the run are done */
  #skip(bytes: number): number {
    const before = this.end
    this.pad()
    this.#flush()
    const padded = this.end - before
    const skipped = bytes - padded - ((bytes - padded) % blockSize)
    this.#flushed += skipped
    return padded + skipped
  }

  #flush(): void {
    this.#attempt(() => this.#file.write(this.#buffer.subarray(0, this.#filled), this.#flushed))
    this.#flushed += this.#filled
    this.#filled = 0
  }

  #attempt<T>(action: () => T): T {
    try {
      return action()
    } catch (error) {
      throw problemFromSystem(error, `write ${this.#path}`)
    }
  }
}
