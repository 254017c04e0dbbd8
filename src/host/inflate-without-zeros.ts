import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { problemFromSystem } from '../base/index.ts'
import { placePieces, type WithoutZeros } from './copy-without-zeros.ts'
import { type PlacedBytes, pieceBytes } from './data-pieces.ts'
import { inLanes, type Lane } from './lanes.ts'
import { openZstdStream, type ZstdStream, zstdProblem } from './libzstd.ts'
import { type PlacedFrame, readFrames } from './placed-frames.ts'

export interface InflateWithoutZeros {
  /** What compressWithoutZeros made. */
  readonly from: string
  /** There, and nothing but a hole; it gets its size. Left out, `from` is only read. */
  readonly to?: string | undefined
  /** The size of what was compressed; nothing is written beyond. */
  readonly bytes: number
}

/**
 * Makes again what was compressed, several frames at a time; what was zeros is a hole. It is not durable yet. Damage may be found by its checksum alone.
 *
 * @returns what copyWithoutZeros said of it
 * @throws Problem FILE_NOT_FOUND, COMPRESSION_INVALID, NO_SPACE, IO_FAILED, TOOL_NOT_FOUND; some of it may be there then
 */
export async function inflateWithoutZeros({ from, to, bytes }: InflateWithoutZeros): Promise<WithoutZeros> {
  const hash = createHash('sha256')
  const inflate = async (source: FileHandle, target: FileHandle | undefined): Promise<WithoutZeros> => {
    const { dataBytes } = await placePieces(inflated(source, bytes), target, hash)
    return { sha256: hash.digest('hex'), dataBytes }
  }
  try {
    await using source = await open(from, 'r')
    if (to === undefined) return await inflate(source, undefined)
    await using target = await open(to, 'r+')
    await target.truncate(bytes)
    return await inflate(source, target)
  } catch (error) {
    throw problemFromSystem(error, to === undefined ? `read ${from}` : `inflate ${from} to ${to}`)
  }
}

interface Inflating extends Lane {
  readonly stream: ZstdStream
  /** What one frame gives: its consumer's until the next frame of this lane begins. */
  readonly output: Buffer
}

function inflated(source: FileHandle, bytes: number): AsyncGenerator<PlacedBytes, void, undefined> {
  return inLanes(readFrames(source), {
    open: (): Inflating => {
      const stream = openZstdStream()
      return { stream, output: Buffer.allocUnsafeSlow(pieceBytes), free: () => stream.free() }
    },
    work: async (lane, frame) => await inflateFrame(lane, frame, bytes),
  })
}

async function inflateFrame(
  { stream, output }: Inflating,
  { offset, frame }: PlacedFrame,
  bytes: number,
): Promise<PlacedBytes> {
  const { taken, given, frameEnded } = await stream.decompress(frame, 0, output)
  if (!frameEnded || taken < frame.length) throw zstdProblem('a frame is not as long as it should be')
  if (offset + given > bytes) throw zstdProblem('a frame belongs behind the end')
  return { offset, bytes: output.subarray(0, given) }
}
