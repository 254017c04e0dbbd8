import { Problem } from '../base/index.ts'
import type { Compression } from './compression.ts'
import { gunzip } from './gunzip.ts'
import { gunzipHere } from './gunzip-here.ts'
import { unzstd } from './unzstd.ts'

export interface DecompressOptions {
  readonly compression: Compression
  /** The most bytes that may come out. */
  readonly maxBytes?: number
  /**
   * gzip is decompressed on libuv's pool unless told. On a thread of its own that may block, `here` takes half of the time; each piece is then the
   * consumer's only until it asks for the next one.
   */
  readonly thread?: 'pool' | 'here'
}

/**
 * Decompresses a stream as it comes, to its very end: every member or frame of it, and nothing that is not one. Memory is bounded
 * whatever is in the stream (a few MiB for gzip; the frame's window, at most 128 MiB, for zstd), and only as much is read from `source`
 * as the consumer keeps up with. A consumer that stops early (`break`) closes `source`.
 *
 * @returns pieces of at most 256 KiB (of any size for `none`), which are the consumer's to keep
 * @throws Problem COMPRESSION_INVALID when the stream is damaged, cut short (an empty one is), or followed by anything but the zero padding
 *   that tape-minded tools leave after gzip; LIMIT_EXCEEDED; TOOL_NOT_FOUND when zstd is wanted and libzstd is not installed; whatever
 *   `source` throws
 */
export async function* decompress(
  source: AsyncIterable<Uint8Array>,
  { compression, maxBytes = Number.POSITIVE_INFINITY, thread = 'pool' }: DecompressOptions,
): AsyncGenerator<Buffer, void, undefined> {
  let bytes = 0
  const pieces = compression === 'gzip' && thread === 'here' ? gunzipHere(source) : decompressors[compression](source)
  for await (const piece of pieces) {
    bytes += piece.length
    if (bytes > maxBytes) {
      throw new Problem('LIMIT_EXCEEDED', `the ${compression} stream holds more than the ${maxBytes} bytes that it may`)
    }
    yield piece
  }
}

const decompressors: Record<Compression, (source: AsyncIterable<Uint8Array>) => AsyncIterable<Buffer>> = {
  gzip: gunzip,
  zstd: unzstd,
  none: asBuffers,
}

async function* asBuffers(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  for await (const piece of source) yield asBuffer(piece)
}

/** The same memory as a Buffer. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
