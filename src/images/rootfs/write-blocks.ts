import { problemFromSystem } from '../../base/index.ts'
import type { Ext4Piece } from '../../formats/index.ts'
import { alignedBuffer, DirectFile } from '../../host/index.ts'

/** Bytes of one write, and so of the largest extent on btrfs, which gives an extent back only as a whole. */
const bufferBytes = 1 << 20

/**
 * Makes a file of this size of which only the pieces are written, neighbours together. It is durable when this returns; when it throws, the
 * file may be half written, and is the caller's to remove.
 *
 * @throws Problem NO_SPACE, IO_FAILED
 */
export function writeBlocks(path: string, bytes: number, pieces: Iterable<Ext4Piece>): void {
  try {
    const file = new DirectFile(path)
    try {
      file.truncate(bytes)
      for (const run of joinNeighbours(pieces)) file.write(run.bytes, run.offset)
      file.sync()
    } finally {
      file.close()
    }
  } catch (error) {
    throw problemFromSystem(error, `write ${path}`)
  }
}

/** In one buffer, which is good until the next one is asked for. */
function* joinNeighbours(pieces: Iterable<Ext4Piece>): Generator<Ext4Piece> {
  const buffer = alignedBuffer(bufferBytes)
  let [start, filled] = [0, 0]
  for (const { offset, bytes } of pieces) {
    for (let taken = 0; taken < bytes.length; ) {
      const at = offset + taken
      if (filled > 0 && (at !== start + filled || filled === bufferBytes)) {
        yield { offset: start, bytes: buffer.subarray(0, filled) }
        filled = 0
      }
      if (filled === 0) start = at
      const copied = bytes.copy(buffer, filled, taken)
      filled += copied
      taken += copied
    }
  }
  if (filled > 0) yield { offset: start, bytes: buffer.subarray(0, filled) }
}
