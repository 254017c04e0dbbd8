import { read, write } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { promisify } from 'node:util'
import { dataSegments } from './data-segments.ts'
import { type FileRange, lastError, libc } from './libc.ts'

export type CopyStrategy = 'copy_file_range' | 'io_copy'

const readAt = promisify(read)
const writeAt = promisify(write)

/** Up to this much is copied in the open: a trip to another thread costs more. */
const small = 256 * 1024
/** The most that one call copies; larger ones would keep a thread of the pool from everybody else. */
const large = 16 * 1024 * 1024
const ioPiece = 1024 * 1024

/**
 * Copies the data of a range and leaves out its holes; what is in the way of a hole in the target stays, so that the target should be
 * fresh. The target's size is the caller's business.
 *
 * @returns false when this strategy is not for these files; some of the data may have been copied then
 * @throws a system error, ENOSPC for one
 * @see copy_file_range(2)
 */
export async function copyData(range: FileRange, strategy: CopyStrategy): Promise<boolean> {
  const shift = range.toOffset - range.fromOffset
  let inTheOpen = 0
  for (const { offset, length } of dataSegments(range.from, range.fromOffset, range.fromOffset + range.length)) {
    const segment = { ...range, fromOffset: offset, toOffset: offset + shift, length }
    const done = strategy === 'io_copy' ? await copyByIo(segment) : await copyByRange(segment)
    if (!done) return false
    // A file of very many small extents must not hold up the event loop.
    inTheOpen += Math.min(length, small)
    if (inTheOpen < large) continue
    inTheOpen = 0
    await nextTurn()
  }
  return true
}

async function copyByRange(segment: FileRange): Promise<boolean> {
  for (let done = 0; done < segment.length; ) {
    const rest = advance(segment, done, large)
    const copied = Number(rest.length <= small ? libc().copyFileRange(rest) : await libc().copyFileRangeAsync(rest))
    if (copied > 0) done += copied
    else if (copied === 0 || !canGoOn(rest)) return false
  }
  return true
}

/** Repeats a call that has failed, in the open, to learn why. True when it is to be tried again, false when it never will do. */
function canGoOn(range: FileRange): boolean {
  if (Number(libc().copyFileRange(range)) >= 0) return true
  const error = lastError('copy_file_range')
  if (error.code === 'EINTR' || error.code === 'EAGAIN') return true
  if (notForThese.has(error.code ?? '')) return false
  throw error
}

/** EXDEV: two filesystems; EINVAL, EOPNOTSUPP, ENOSYS: these cannot; ETXTBSY: a swap file; EBADF: never ours, so an append-only target. */
const notForThese = new Set(['EXDEV', 'EINVAL', 'EOPNOTSUPP', 'ENOTSUP', 'ENOSYS', 'ETXTBSY'])

async function copyByIo(segment: FileRange): Promise<true> {
  const buffer = Buffer.allocUnsafe(Math.min(segment.length, ioPiece))
  for (let done = 0; done < segment.length; ) {
    const rest = advance(segment, done, ioPiece)
    const { bytesRead } = await readAt(rest.from, buffer, 0, rest.length, rest.fromOffset)
    if (bytesRead === 0) throw Object.assign(new Error('the file became shorter while it was copied'), { code: 'EIO' })
    for (let written = 0; written < bytesRead; ) {
      written += (await writeAt(rest.to, buffer, written, bytesRead - written, rest.toOffset + written)).bytesWritten
    }
    done += bytesRead
  }
  return true
}

/** What is left of a range when `done` bytes are done, at most `limit` of it. */
export function advance(range: FileRange, done: number, limit: number): FileRange {
  return {
    ...range,
    fromOffset: range.fromOffset + done,
    toOffset: range.toOffset + done,
    length: Math.min(range.length - done, limit),
  }
}
