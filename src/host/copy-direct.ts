import { constants } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { errnoCode } from '../base/index.ts'
import { dataSegments } from './data-segments.ts'
import { alignedBuffer, directAlignment, openDirect } from './direct-io.ts'
import { writeWhole } from './write-whole.ts'

export interface DirectCopy {
  readonly from: string
  readonly fromOffset: number
  /** Exists already. */
  readonly to: string
  readonly toOffset: number
  readonly length: number
}

/** Two of these are in use: one is read while the other is written. */
const pieceBytes = 4 * 1024 * 1024
/** Below this the buffers are not worth their while. */
const worthwhile = 2 * pieceBytes

/**
 * Copies the data of a range around the page cache and leaves out its holes.
 *
 * @returns false when these files, or this range, are not for it; some of the data may have been copied then
 * @throws a system error, ENOSPC for one
 */
export async function copyDirect(copy: DirectCopy): Promise<boolean> {
  const { from, fromOffset, to, toOffset, length } = copy
  if (length < worthwhile || [fromOffset, toOffset, length].some((value) => value % directAlignment !== 0)) return false
  await using source = await openDirect(from, constants.O_RDONLY)
  await using target = await openDirect(to, constants.O_WRONLY)
  if (source === undefined || target === undefined) return false
  try {
    await copyPieces(source, target, copy)
    return true
  } catch (error) {
    // Blocks larger than ours, or a filesystem that took the flag without meaning it.
    if (errnoCode(error) === 'EINVAL') return false
    throw error
  }
}

async function copyPieces(
  source: FileHandle,
  target: FileHandle,
  { fromOffset, toOffset, length }: DirectCopy,
): Promise<void> {
  const buffers = [alignedBuffer(pieceBytes), alignedBuffer(pieceBytes)] as const
  let writing: Promise<void> = Promise.resolve()
  try {
    for (const [number, { offset, length: bytes }] of piecesOf(source.fd, fromOffset, length).entries()) {
      const piece = buffers[number % 2 === 0 ? 0 : 1].subarray(0, bytes)
      await readWhole(source, piece, offset)
      await writing
      writing = writeWhole(target, piece, offset - fromOffset + toOffset)
      // Awaited a turn later; until then nobody listens.
      writing.catch(() => {})
    }
  } finally {
    // The buffer and the descriptor must outlive the write, whatever went wrong.
    await writing
  }
}

function piecesOf(fd: number, start: number, length: number): { offset: number; length: number }[] {
  const pieces: { offset: number; length: number }[] = []
  for (const segment of dataSegments(fd, start, start + length)) {
    for (let done = 0; done < segment.length; done += pieceBytes) {
      pieces.push({ offset: segment.offset + done, length: Math.min(pieceBytes, segment.length - done) })
    }
  }
  return pieces
}

async function readWhole(source: FileHandle, piece: Buffer, offset: number): Promise<void> {
  for (let done = 0; done < piece.length; ) {
    const { bytesRead } = await source.read(piece, done, piece.length - done, offset + done)
    if (bytesRead === 0) throw Object.assign(new Error('the file became shorter while it was copied'), { code: 'EIO' })
    done += bytesRead
  }
}
