import { blockSize } from './header-block.ts'

/** What the parser waits for. */
type Want =
  | { readonly kind: 'block'; readonly take: (block: Buffer) => void }
  | { readonly kind: 'body'; readonly body: Buffer; filled: number; readonly take: (body: Buffer) => void }
  | { readonly kind: 'run'; left: number; readonly take: (piece: Buffer) => void; readonly done: () => void }
  | { readonly kind: 'rest'; readonly take: (piece: Buffer) => void }

/**
 * Turns chunks of any length into what a parser asks for next: a block, a whole body, a run of bytes that is passed through, or all the rest.
 * Each `take` and `done` asks for the next thing before it returns.
 */
export class ByteFeed {
  #want: Want
  readonly #first: (block: Buffer) => void
  /** Bytes to pass over before that. */
  #skip = 0
  /** How many of those are padding, which may be missing at the end of an archive. */
  #padding = 0
  /** A block that came in pieces. */
  readonly #block = Buffer.alloc(blockSize)
  #blockBytes = 0
  #offset = 0

  /** @param first takes the first block, and every block before which an archive may end */
  constructor(first: (block: Buffer) => void) {
    this.#first = first
    this.#want = { kind: 'block', take: first }
  }

  /** Where in the archive the thing that was given last begins; after the last chunk, the length of the archive. */
  get offset(): number {
    return this.#offset
  }

  /** A block; it is valid only during the call. */
  block(take: (block: Buffer) => void): void {
    this.#want = { kind: 'block', take }
  }

  /** A body of so many bytes in a buffer of its own, which may be kept; its padding is passed over. */
  body(bytes: number, take: (body: Buffer) => void): void {
    const whole = (body: Buffer) => {
      this.skipPadding(bytes)
      take(body)
    }
    if (bytes === 0) whole(Buffer.alloc(0))
    else this.#want = { kind: 'body', body: Buffer.allocUnsafe(bytes), filled: 0, take: whole }
  }

  /** So many bytes, in pieces that are views of the chunks. */
  run(bytes: number, { take, done }: { take: (piece: Buffer) => void; done: () => void }): void {
    if (bytes === 0) done()
    else this.#want = { kind: 'run', left: bytes, take, done }
  }

  /** All that is left. */
  rest(take: (piece: Buffer) => void): void {
    this.#want = { kind: 'rest', take }
  }

  /** Passes over a body of so many bytes, and its padding, before anything else. `seen` of them were already given. */
  skipBody(bytes: number, seen = 0): void {
    this.#padding = paddingOf(bytes)
    this.#skip = bytes + this.#padding - seen
  }

  /** Passes over the padding after so many bytes. */
  skipPadding(bytes: number): void {
    this.#padding = paddingOf(bytes)
    this.#skip = this.#padding
  }

  write(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      const skipped = Math.min(this.#skip, chunk.length - at)
      this.#skip -= skipped
      this.#offset += skipped
      at += skipped
      if (at < chunk.length) at += this.#give(chunk, at)
    }
  }

  /** The bytes of a block that is not complete, when that is what came last. */
  partialBlock(): Buffer {
    return this.#block.subarray(0, this.#blockBytes)
  }

  /** Whether more must come before the archive may end; padding need not. */
  isCutOff(): boolean {
    const want = this.#want
    const mayEnd = want.kind === 'rest' || (want.kind === 'block' && want.take === this.#first)
    return !mayEnd || this.#skip > this.#padding
  }

  /** Gives what is wanted as much of the chunk as it takes, and says how much that was. */
  #give(chunk: Buffer, at: number): number {
    const want = this.#want
    const available = chunk.length - at
    switch (want.kind) {
      case 'block':
        return this.#giveBlock(want, chunk, at)
      case 'body': {
        const taken = chunk.copy(want.body, want.filled, at)
        want.filled += taken
        this.#offset += taken
        if (want.filled === want.body.length) want.take(want.body)
        return taken
      }
      case 'run': {
        const taken = Math.min(want.left, available)
        want.left -= taken
        this.#offset += taken
        want.take(taken === chunk.length ? chunk : chunk.subarray(at, at + taken))
        if (want.left === 0) want.done()
        return taken
      }
      case 'rest':
        this.#offset += available
        want.take(chunk.subarray(at))
        return available
    }
  }

  /** Whole blocks are given where they lie; only one that is cut by a chunk's end is copied. */
  #giveBlock(want: Want & { kind: 'block' }, chunk: Buffer, at: number): number {
    if (this.#blockBytes === 0 && chunk.length - at >= blockSize) {
      want.take(chunk.subarray(at, at + blockSize))
      this.#offset += blockSize
      return blockSize
    }
    const taken = chunk.copy(this.#block, this.#blockBytes, at)
    this.#blockBytes += taken
    if (this.#blockBytes === blockSize) {
      this.#blockBytes = 0
      want.take(this.#block)
      this.#offset += blockSize
    }
    return taken
  }
}

/** Zero bytes that fill the last block of a body. */
export function paddingOf(bytes: number): number {
  return (blockSize - (bytes % blockSize)) % blockSize
}
