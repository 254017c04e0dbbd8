import { type FileHandle, open } from 'node:fs/promises'
import { Problem, problemFromSystem } from '../base/index.ts'
import { withNewFile } from './clone-file.ts'
import { placePart } from './place-part.ts'

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
  const place = { from: { file: from, path: part.path }, to, fromOffset: part.offset, toOffset: to.offset }
  return (await placePart({ ...place, length: part.length })) === 'shared'
}
