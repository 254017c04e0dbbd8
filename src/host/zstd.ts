import { availableParallelism } from 'node:os'
import { gather } from './gather.ts'
import { openZstdCompressor, type ZstdCompressor } from './libzstd.ts'

const frameBytes = 1 << 20
/** More would keep the threads of the pool, of which there are four, from everybody else. */
const maxLanes = 3

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
export async function* zstdFrames(
  source: AsyncIterable<Uint8Array>,
  level: number,
): AsyncGenerator<Buffer, void, undefined> {
  const lanes: ZstdCompressor[] = []
  const pending: Promise<Buffer>[] = []
  try {
    for (let i = 0; i < Math.min(maxLanes, availableParallelism()); i++) lanes.push(openZstdCompressor(level))
    let at = 0
    for await (const piece of source) {
      // The one that has waited longest is the one whose compressor is next.
      if (pending.length === lanes.length) yield await first(pending)
      const lane = lanes[at++ % lanes.length]
      if (lane !== undefined) pending.push(begin(lane, piece))
    }
    while (pending.length > 0) yield await first(pending)
  } finally {
    await Promise.allSettled(pending)
    for (const lane of lanes) lane.free()
  }
}

/** One that fails before its turn is no unhandled rejection: it is looked at when its turn comes. */
function begin(lane: ZstdCompressor, piece: Uint8Array): Promise<Buffer> {
  const begun = lane.compress(piece)
  begun.catch(() => {})
  return begun
}

/** It stays among those that are waited for until it has ended. */
async function first(pending: Promise<Buffer>[]): Promise<Buffer> {
  const result = await (pending[0] ?? Buffer.alloc(0))
  pending.shift()
  return result
}
