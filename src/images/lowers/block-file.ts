import { closeSync, constants, ftruncateSync, openSync, writeSync } from 'node:fs'
import { errnoCode, problemFromSystem } from '../../base/index.ts'
import { blockSize } from '../../formats/index.ts'
import { alignedBuffer, openDirectSync } from '../../host/index.ts'

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
  #fd: number
  readonly #buffer = alignedBuffer(bufferBytes)
  /** Where in the file the buffer begins, and how much of it is filled. */
  #flushed = 0
  #filled = 0
  #open = true

  /** @param path must not exist */
  constructor(path: string) {
    this.#path = path
    this.#fd = this.#attempt(() => createForDirectWrites(path))
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
    this.#attempt(() => ftruncateSync(this.#fd, position))
    this.#flushed = position
    this.#filled = 0
  }

  /** Completes the file. @returns its size in blocks */
  finish(): number {
    this.pad()
    this.#flush()
    // A hole at the very end is only there once the size says so.
    this.#attempt(() => ftruncateSync(this.#fd, this.end))
    return this.end / blockSize
  }

  close(): void {
    if (!this.#open) return
    this.#open = false
    closeSync(this.#fd)
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
    this.#attempt(() => {
      for (let written = 0; written < this.#filled; ) {
        written += this.#writeAt(this.#buffer.subarray(written, this.#filled), this.#flushed + written)
      }
    })
    this.#flushed += this.#filled
    this.#filled = 0
  }

  #writeAt(piece: Buffer, position: number): number {
    try {
      return writeSync(this.#fd, piece, 0, piece.length, position)
    } catch (error) {
      // The filesystem wants larger blocks than ours, or took the flag without meaning it.
      if (errnoCode(error) !== 'EINVAL') throw error
      closeSync(this.#fd)
      this.#fd = openSync(this.#path, 'r+')
      return writeSync(this.#fd, piece, 0, piece.length, position)
    }
  }

  #attempt<T>(action: () => T): T {
    try {
      return action()
    } catch (error) {
      throw problemFromSystem(error, `write ${this.#path}`)
    }
  }
}

/** A file created with O_DIRECT is there even when the open fails for it, so it is created before. */
function createForDirectWrites(path: string): number {
  const fd = openSync(path, 'wx', 0o600)
  const direct = openDirectSync(path, constants.O_WRONLY)
  if (direct === undefined) return fd
  closeSync(fd)
  return direct
}
