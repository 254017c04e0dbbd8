import { createHash, type Hash } from 'node:crypto'
import { closeSync, fsyncSync, ftruncateSync, openSync, writeSync } from 'node:fs'
import { problemFromSystem } from '../../base/index.ts'
import { blockSize } from '../../formats/index.ts'

/** Big enough that the cost of a system call does not show. */
const bufferBytes = 1 << 20
const zeros = Buffer.alloc(64 * 1024)

/** Where a file's content went. */
export interface WrittenFile {
  readonly startBlock: number
  readonly sha256: Buffer
}

/**
 * Writes a layer's data blob: file after file, each from a 4 KiB block on, content that came before not a second time. All synchronous: it
 * is for a worker thread, which has nothing else to do.
 *
 * Long runs of zeros become holes of the blob where the filesystem has them. One owner; `close` in a finally.
 * @throws (every method) Problem NO_SPACE, IO_FAILED
 */
export class LayerDataWriter {
  readonly #path: string
  readonly #fd: number
  readonly #buffer = Buffer.allocUnsafeSlow(bufferBytes)
  readonly #starts = new Map<string, number>()
  /** Where in the blob the buffer begins, and how much of it is filled. */
  #flushed = 0
  #filled = 0
  #fileStart = 0
  #hash: Hash = createHash('sha256')
  #open = true

  /** @param path must not exist */
  constructor(path: string) {
    this.#path = path
    this.#fd = this.#attempt(() => openSync(path, 'wx', 0o600))
  }

  beginFile(): void {
    this.#pad()
    this.#fileStart = this.#end
    this.#hash = createHash('sha256')
  }

  write(chunk: Buffer): void {
    this.#hash.update(chunk)
    this.#append(chunk)
  }

  /** A run of zeros. */
  hole(bytes: number): void {
    for (let left = bytes; left > 0; left -= zeros.length) this.#hash.update(zeros.subarray(0, left))
    if (bytes <= zeros.length) {
      this.#append(zeros.subarray(0, bytes))
      return
    }
    this.#flush()
    this.#flushed += bytes
  }

  endFile(): WrittenFile {
    const sha256 = this.#hash.digest()
    const key = sha256.toString('latin1')
    const known = this.#starts.get(key)
    if (known !== undefined) {
      this.#rewind(this.#fileStart)
      return { startBlock: known, sha256 }
    }
    const startBlock = this.#fileStart / blockSize
    this.#starts.set(key, startBlock)
    return { startBlock, sha256 }
  }

  /**
   * Makes the blob durable.
   *
   * @returns its size in blocks
   */
  finish(): number {
    this.#pad()
    this.#flush()
    this.#attempt(() => {
      // A hole at the very end is only there once the size says so.
      ftruncateSync(this.#fd, this.#end)
      fsyncSync(this.#fd)
    })
    return this.#end / blockSize
  }

  close(): void {
    if (!this.#open) return
    this.#open = false
    closeSync(this.#fd)
  }

  get #end(): number {
    return this.#flushed + this.#filled
  }

  #append(chunk: Buffer): void {
    for (let taken = 0; taken < chunk.length; ) {
      if (this.#filled === bufferBytes) this.#flush()
      const copied = chunk.copy(this.#buffer, this.#filled, taken)
      this.#filled += copied
      taken += copied
    }
  }

  #pad(): void {
    const rest = this.#end % blockSize
    if (rest > 0) this.#append(zeros.subarray(0, blockSize - rest))
  }

  #flush(): void {
    this.#attempt(() => {
      for (let written = 0; written < this.#filled; ) {
        written += writeSync(this.#fd, this.#buffer, written, this.#filled - written, this.#flushed + written)
      }
    })
    this.#flushed += this.#filled
    this.#filled = 0
  }

  /** Forgets everything from `position` on, on disk too: what follows may leave a hole there, which must read as zeros. */
  #rewind(position: number): void {
    if (position >= this.#flushed) {
      this.#filled = position - this.#flushed
      return
    }
    this.#attempt(() => ftruncateSync(this.#fd, position))
    this.#flushed = position
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
