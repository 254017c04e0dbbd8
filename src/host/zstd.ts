import { gather } from './gather.ts'
import { inLanes } from './lanes.ts'
import { openZstdCompressor } from './libzstd.ts'

const frameBytes = 1 << 20

/**
 * A stream as zstd, in frames of about 1 MiB.
 *
 * @see zstdFrames
 */
export function zstd(source: AsyncIterable<Uint8Array>, level: number): AsyncGenerator<Buffer, void, undefined> {
  return zstdFrames(gather(source, frameBytes), level)
}

/**
 * A frame of each piece, in their order, made by several threads. The same bytes from the same libzstd, whatever number is at work. A source must not use
 * the memory of its pieces again.
 *
 * @param level of 1 (fast) to 19 (small)
 * @throws Problem TOOL_NOT_FOUND; whatever `source` throws
 */
export function zstdFrames(source: AsyncIterable<Uint8Array>, level: number): AsyncGenerator<Buffer, void, undefined> {
  return inLanes(source, {
    open: () => openZstdCompressor(level),
    work: async (compressor, piece) => await compressor.compress(piece),
  })
}
