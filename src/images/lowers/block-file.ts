import { type Problem, problemFromSystem } from '../../base/index.ts'
import { blockSize } from '../../formats/index.ts'
import { alignedBuffer, DirectFile } from '../../host/index.ts'

/**
 * Bytes of one write. Written around the page cache, it is also the largest extent that btrfs makes, and btrfs gives an extent back only
 * when nobody refers to any part of it.
 */
const bufferBytes = 1 << 20
/** Buffers that may be full and not yet written before the writer is to wait. */
const maxBehind = 2
const zeros = Buffer.alloc(64 * 1024)

/** A buffer that was full. */
interface Full {
  readonly buffer: Buffer
  isWritten: boolean
}

/**
 * A file that grows at its end, in whole blocks when it is complete. A tar reader writes to it in the middle of a header, so nothing waits for the disk
 * but what says so: full buffers are written meanwhile, one after the other. Memory is bounded when the writer waits for `settled` now and then.
 *
 * One owner; `close` in a finally.
 * @throws (every method) Problem NO_SPACE, IO_FAILED, also for what was taken before
 */
export class BlockFile {
  readonly #path: string
  readonly #file: DirectFile
  #buffer = alignedBuffer(bufferBytes)
  readonly #spare: Buffer[] = []
  /** What is being done to the file, and is to be done after it. */
  readonly #behind: Promise<void>[] = []
  #failure: Problem | undefined
  /** Where in the file the buffer begins, and how much of it is filled. */
  #flushed = 0
  #filled = 0
  /** What both were at the mark. */
  #marked = { flushed: 0, filled: 0 }
  /** The buffer with the mark, when it has been full since. */
  #held: Full | undefined

  /** @param path must not exist */
  constructor(path: string) {
    this.#path = path
    try {
      this.#file = new DirectFile(path)
    } catch (error) {
      throw this.#problem(error)
    }
  }

  /** Bytes so far. */
  get end(): number {
    return this.#flushed + this.#filled
  }

  /** What to wait for before more is appended; undefined when little enough is still to be written. */
  settled(): Promise<void> | undefined {
    this.#throwFailure()
    return this.#behind.length > maxBehind ? this.#behind[0] : undefined
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

  /** Goes on at the next whole block, to which `rewind` leads back. @returns where that is */
  mark(): number {
    this.pad()
    this.#hold(undefined)
    this.#marked = { flushed: this.#flushed, filled: this.#filled }
    return this.end
  }

  /**
   * Forgets everything since the mark, on disk too: what follows may leave a hole there, which must read as zeros. The write that goes beyond the mark
   * is undone as a whole, and what it held from before comes with the next one: of an extent that is needed in part btrfs keeps all.
   */
  rewind(): void {
    const { flushed, filled } = this.#marked
    if (flushed < this.#flushed) {
      this.#held?.buffer.copy(this.#buffer, 0, 0, filled)
      this.#later(() => this.#file.truncate(flushed))
    }
    this.#flushed = flushed
    this.#filled = filled
  }

  /** Completes the file. @returns its size in blocks */
  async finish(): Promise<number> {
    this.pad()
    this.#flush()
    // A hole at the very end is only there once the size says so.
    await this.#later(() => this.#file.truncate(this.end))
    this.#throwFailure()
    return this.end / blockSize
  }

  async close(): Promise<void> {
    // A descriptor that is closed may be another file's at once.
    await this.#behind.at(-1)
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
    this.#throwFailure()
    if (this.#filled === 0) return
    const [full, filled, position]: [Full, number, number] = [
      { buffer: this.#buffer, isWritten: false },
      this.#filled,
      this.#flushed,
    ]
    if (position === this.#marked.flushed) this.#hold(full)
    this.#later(async () => {
      await this.#file.writeBehind(full.buffer.subarray(0, filled), position)
      full.isWritten = true
      this.#recycle(full)
    })
    this.#flushed += filled
    this.#filled = 0
    this.#buffer = this.#spare.pop() ?? alignedBuffer(bufferBytes)
  }

  #hold(full: Full | undefined): void {
    const before = this.#held
    this.#held = full
    if (before !== undefined) this.#recycle(before)
  }

  #recycle(full: Full): void {
    if (full.isWritten && full !== this.#held) this.#spare.push(full.buffer)
  }

  /** Never rejects: what goes wrong is thrown to whoever comes next, and nothing more is done. */
  #later(work: () => Promise<void> | void): Promise<void> {
    const before = this.#behind.at(-1)
    const done = (async () => {
      await before
      try {
        if (this.#failure === undefined) await work()
      } catch (error) {
        this.#failure = this.#problem(error)
      }
      this.#behind.shift()
    })()
    this.#behind.push(done)
    return done
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  #problem(error: unknown): Problem {
    return problemFromSystem(error, `write ${this.#path}`)
  }
}
