import { blockSize } from './tree.ts'

/** Bytes that belong at an offset of a file. */
export interface Piece {
  readonly offset: number
  readonly bytes: Buffer
}

/** A multiple of the block size, so that the first chunk always holds block 0 whole. */
const chunkBytes = 256 * blockSize

/** Joins pieces that come by rising offset into chunks of 1 MiB that cover `total` bytes; what no piece covers is zero. */
export function* joinChunks(pieces: Iterable<Piece>, total: number): Generator<Buffer> {
  let start = 0
  let chunk = Buffer.alloc(Math.min(chunkBytes, total))
  for (const { offset, bytes } of pieces) {
    let done = 0
    while (done < bytes.length) {
      if (offset + done < start + chunk.length) {
        done += bytes.copy(chunk, offset + done - start, done)
        continue
      }
      yield chunk
      start += chunk.length
      chunk = Buffer.alloc(Math.min(chunkBytes, total - start))
    }
  }
  while (start < total) {
    yield chunk
    start += chunk.length
    chunk = Buffer.alloc(Math.min(chunkBytes, total - start))
  }
}
