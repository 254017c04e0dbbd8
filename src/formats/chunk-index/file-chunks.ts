import { blockSize } from '../erofs/index.ts'
import { maxChunkBlocks } from './chunk-index.ts'

/** A chunk smaller than this is not made when it can be joined to a neighbour: a request costs more than its bytes. */
const minBlocks = (64 * 1024) / blockSize
/** Small files are put together up to this: more would be fetched for nothing by whoever wants one of them. */
const groupBlocks = (256 * 1024) / blockSize

/**
 * Cuts a data blob, or anything else of whole blocks, into chunks of 64 KiB to 1 MiB that begin where files begin: small files go together,
 * files of more than 1 MiB are cut evenly. It follows from its arguments alone, so a layer is cut the same on every host.
 *
 * @param starts the blocks on which files begin, in any order; what lies before the first counts as a file
 * @param blocks of all of it
 * @returns the chunks' lengths in bytes; only a blob of less than 64 KiB has a chunk of less
 */
export function fileChunks(starts: Iterable<number>, blocks: number): Uint32Array {
  const lengths: number[] = []
  let open = 0
  for (const length of fileLengths(starts, blocks)) {
    if (open >= minBlocks && open + length > groupBlocks) {
      cut(lengths, open)
      open = 0
    }
    open += length
  }
  // What is left is too small to stand alone: it goes with the chunk before it.
  if (open > 0 && open < minBlocks) open += lengths.pop() ?? 0
  cut(lengths, open)
  return Uint32Array.from(lengths, (length) => length * blockSize)
}

function* fileLengths(starts: Iterable<number>, blocks: number): Generator<number> {
  let from = 0
  for (const start of Float64Array.from(new Set(starts)).sort()) {
    if (start > from) yield start - from
    from = start
  }
  if (blocks > from) yield blocks - from
}

/** One chunk, or as many as it takes of nearly the same length. */
function cut(lengths: number[], blocks: number): void {
  const pieces = Math.ceil(blocks / maxChunkBlocks)
  for (let piece = 0, from = 0; piece < pieces; piece++) {
    const to = Math.round(((piece + 1) * blocks) / pieces)
    lengths.push(to - from)
    from = to
  }
}
