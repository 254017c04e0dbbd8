import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { Problem, problemFromSystem } from '../../base/index.ts'
import { decompress, writeWhole } from '../../host/index.ts'

export interface ExpandPart {
  /** The part as it is stored: zstd frames, verified against their digest. */
  readonly from: string
  /** A file that does not exist yet. */
  readonly to: string
  /** Bytes that must come out. */
  readonly lowerBytes: number
  readonly signal?: AbortSignal | undefined
}

/**
 * Decompresses a part of a published lower. Long runs of zeros become holes.
 *
 * @throws Problem COMPRESSION_INVALID, SIZE_MISMATCH, LIMIT_EXCEEDED, NO_SPACE, IO_FAILED, CANCELLED
 */
export async function expandPart({ from, to, lowerBytes, signal }: ExpandPart): Promise<void> {
  try {
    await using file = await open(to, 'wx', 0o600)
    let offset = 0
    for await (const piece of decompress(createReadStream(from), { compression: 'zstd', maxBytes: lowerBytes })) {
      if (signal?.aborted) throw new Problem('CANCELLED', 'it was stopped on request')
      if (!isZero(piece)) await writeWhole(file, piece, offset)
      offset += piece.length
    }
    if (offset !== lowerBytes) {
      throw new Problem('SIZE_MISMATCH', `a part of the rootfs should have ${lowerBytes} bytes and has ${offset}`)
    }
    await file.truncate(lowerBytes)
  } catch (error) {
    throw problemFromSystem(error, `expand a part of the rootfs to ${to}`)
  }
}

const zeros = Buffer.alloc(256 * 1024)

function isZero(piece: Buffer): boolean {
  return piece.length <= zeros.length && piece.equals(zeros.subarray(0, piece.length))
}
