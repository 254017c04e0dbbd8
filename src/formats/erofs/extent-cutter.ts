import { Lz4Compressor } from '../lz4/index.ts'
import { blockSize, type Extent } from './tree.ts'

/** Content of one extent at most: what a kernel has to decompress for one byte of it. */
export const maxExtentBytes = 2 ** 20
/** 64 KiB of memory, which a processor's cache still holds. */
const hashBits = 14
/** An extent whose content is not so much larger than its cluster is not worth decompressing. */
const leastGain = 9 / 8

/**
 * Cuts the content of files into extents, as many bytes to a cluster as go in. What it makes of a file depends on the file alone.
 *
 * Rules that kernels rely on: compressed bytes end where their cluster ends, with less than a block of zeros before them; an extent has at
 * least a block of content, unless it ends the content or a block of it, so that no block has two that start in it; only an extent that covers a block of content
 * after the one it starts in has a place for the number of its blocks.
 *
 * @see fs/erofs/zmap.c and decompressor.c of the kernel; erofs-utils, lib/compress.c
 */
export class ExtentCutter {
  readonly #compressor = new Lz4Compressor(hashBits)
  readonly #out: Buffer
  readonly #block: Buffer

  /** @param maxBlocks of a cluster: 1, or up to 16 for images with big clusters */
  constructor(maxBlocks: number) {
    this.#out = Buffer.alloc(maxBlocks * blockSize)
    this.#block = this.#out.subarray(0, blockSize)
  }

  /**
   * Cuts the next extents, at least one.
   *
   * @param window goes on for `maxExtentBytes`, or to the file's end
   * @param emit takes each extent with its blocks, which are valid only during the call
   * @returns bytes of content that the extents have together
   */
  cut(window: ContentWindow, emit: (extent: Extent, cluster: Buffer) => void): number {
    const rest = window.to - window.from
    if (rest <= blockSize) return this.#store(window, rest, emit)
    const { read, written } = this.#compress(window, this.#out)
    const blocks = Math.ceil(written / blockSize)
    if (!isWorthIt(read, blocks, rest)) return this.#store(window, Math.max(blockSize, read - (read % blockSize)), emit)
    if (blocks > 1 && !hasRoomForCount(window, read)) return this.#cutSmall(window, emit)
    emit({ length: read, blocks, raw: false }, alignRight(this.#out, written, blocks))
    return read
  }

  /** Into a cluster of one block. */
  #cutSmall(window: ContentWindow, emit: (extent: Extent, cluster: Buffer) => void): number {
    const { read, written } = this.#compress(window, this.#block)
    if (!isWorthIt(read, 1, window.to - window.from)) return this.#store(window, blockSize, emit)
    emit({ length: read, blocks: 1, raw: false }, alignRight(this.#block, written, 1))
    return read
  }

  #compress({ content, from, to }: ContentWindow, out: Buffer) {
    return this.#compressor.compress(content, from, to, out)
  }

  /** As it is, block by block. */
  #store({ content, from }: ContentWindow, bytes: number, emit: (extent: Extent, cluster: Buffer) => void): number {
    for (let done = 0; done < bytes; done += blockSize) {
      const length = Math.min(blockSize, bytes - done)
      content.copy(this.#block, 0, from + done, from + done + length)
      this.#block.fill(0, length)
      emit({ length, blocks: 1, raw: true }, this.#block)
    }
    return bytes
  }
}

export interface ContentWindow {
  readonly content: Buffer
  readonly from: number
  readonly to: number
  /** Of `from`, in the file. */
  readonly position: number
}

/** The end of a file is worth a block, whatever its size. */
function isWorthIt(read: number, blocks: number, rest: number): boolean {
  if (read === rest) return blocks < Math.ceil(rest / blockSize)
  return read >= blocks * blockSize * leastGain
}

/** Whether the extent covers a whole block of content besides the one that it starts in. */
function hasRoomForCount({ position }: ContentWindow, read: number): boolean {
  return (position % blockSize) + read >= 2 * blockSize
}

function alignRight(out: Buffer, written: number, blocks: number): Buffer {
  const padding = blocks * blockSize - written
  out.copyWithin(padding, 0, written)
  out.fill(0, 0, padding)
  return out.subarray(0, blocks * blockSize)
}
