import type { FileHandle } from 'node:fs/promises'
import { advance, copyData } from './copy-data.ts'
import { copyDirect } from './copy-direct.ts'
import { type FileRange, lastError, libc } from './libc.ts'

export interface OpenFile {
  readonly file: FileHandle
  readonly path: string
}

export interface PlacePart {
  readonly from: OpenFile
  /** Open for writing. */
  readonly to: OpenFile
  readonly fromOffset: number
  readonly toOffset: number
  readonly length: number
}

/** One ioctl for more would hold a thread of the pool for long: sharing costs time by the extent. */
const cloneAtMost = 256 * 1024 * 1024

/**
 * Puts a part of one file into another, whose size is the caller's business: sharing its extents where that can be, else copied; holes stay holes.
 *
 * @param how `copy` when it is known that these files cannot share extents
 * @throws a system error, ENOSPC for one
 */
export async function placePart(
  { from, to, fromOffset, toOffset, length }: PlacePart,
  how: 'share' | 'copy' = 'share',
): Promise<'shared' | 'copied'> {
  const range = { from: from.file.fd, fromOffset, to: to.file.fd, toOffset, length }
  if (how === 'share' && (await cloneRange(range))) return 'shared'
  if (await copyDirect({ ...range, from: from.path, to: to.path })) return 'copied'
  if (!(await copyData(range, 'copy_file_range'))) await copyData(range, 'io_copy')
  return 'copied'
}

/** False when the range cannot be shared; some of it may be then. */
async function cloneRange(range: FileRange): Promise<boolean> {
  // Also because a length of 0 means "to the end of the file" to the kernel.
  for (let done = 0; done < range.length; done += cloneAtMost) {
    const piece = advance(range, done, cloneAtMost)
    if ((await libc().cloneRangeAsync(piece)) !== 0 && !repeatClone(piece)) return false
  }
  return true
}

function repeatClone(range: FileRange): boolean {
  if (libc().cloneRange(range) === 0) return true
  const error = lastError('FICLONERANGE')
  if (error.code === 'ENOSPC' || error.code === 'EDQUOT' || error.code === 'EIO') throw error
  return false
}
