import { type FileHandle, open } from 'node:fs/promises'
import { Problem, problemFromSystem } from '../base/index.ts'
import { withNewFile } from './clone-file.ts'
import { advance, copyData } from './copy-data.ts'
import { copyDirect } from './copy-direct.ts'
import { type FileRange, lastError, libc } from './libc.ts'

export interface FilePart {
  readonly path: string
  /** Bytes into the file at `path`. */
  readonly offset: number
  readonly length: number
}

export interface Assembled {
  /** `ficlonerange` when every part shares its extents with its source; `copy` when at least one had to be copied. */
  readonly strategy: 'ficlonerange' | 'copy'
  /** The size of the file, in bytes. */
  readonly bytes: number
}

/** One ioctl for more would hold a thread of the pool for long: sharing costs time by the extent. */
const cloneAtMost = 256 * 1024 * 1024

/**
 * Makes `dst` of parts of other files, one after the other: parts that begin and end on multiples of 4096 share their extents where the
 * filesystem can, all others are copied; holes stay holes. It is not durable yet: that is for installFile.
 *
 * `dst` must not exist. On failure there is no `dst` that was not there before.
 *
 * @throws Problem FILE_NOT_FOUND, FILE_EXISTS, NO_SPACE, IO_FAILED (also when a source is shorter than its part)
 * @see ioctl_ficlonerange(2)
 */
export async function assembleFile(dst: string, parts: readonly FilePart[]): Promise<Assembled> {
  let bytes = 0
  let cloned = parts.length > 0
  try {
    await withNewFile(dst, async (to) => {
      for (const part of parts) {
        cloned = (await append({ file: to, path: dst, offset: bytes }, part)) && cloned
        bytes += part.length
      }
      // The last part may end in a hole.
      await to.truncate(bytes)
      return true
    })
  } catch (error) {
    throw problemFromSystem(error, `put ${dst} together`)
  }
  return { strategy: cloned ? 'ficlonerange' : 'copy', bytes }
}

interface Target {
  readonly file: FileHandle
  readonly path: string
  /** Where the next part goes. */
  readonly offset: number
}

/** True when the part was cloned, false when it was copied. */
async function append(to: Target, part: FilePart): Promise<boolean> {
  await using from = await open(part.path, 'r')
  const { size } = await from.stat()
  if (size < part.offset + part.length) {
    throw new Problem(
      'IO_FAILED',
      `${part.path} has ${size} bytes, too few for a part that ends at ${part.offset + part.length}`,
    )
  }
  const range = { from: from.fd, fromOffset: part.offset, to: to.file.fd, toOffset: to.offset, length: part.length }
  if (await cloneRange(range)) return true
  if (await copyDirect({ ...range, from: part.path, to: to.path })) return false
  if (!(await copyData(range, 'copy_file_range'))) await copyData(range, 'io_copy')
  return false
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
