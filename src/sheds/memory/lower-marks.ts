import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { isDeepStrictEqual } from 'node:util'
import { parseDigest, problemFromSystem } from '../../base/index.ts'
import type { DriveSpec } from '../../machines/index.ts'
import type { ShedsContext } from '../context.ts'
import type { ShedRecord } from '../records/shed-record.ts'
import type { LowerMark } from './memory-record.ts'

/** The metadata of a lower begins there; another form of the same image differs in its first block. */
const headBytes = 256 * 1024

/**
 * What the drives are that a shed shares with others of its image.
 *
 * @param drives those that `drivesOf` has for the record
 * @throws Problem FILE_NOT_FOUND, IO_FAILED
 */
export async function lowerMarks({ lazy }: ShedRecord, drives: readonly DriveSpec[]): Promise<LowerMark[]> {
  const lowers = drives.filter(isOfImage)
  if (lazy === undefined) return await Promise.all(lowers.map(wholeMark))
  return lowers.map(({ id }) => ({ id, chunk_index_digest: lazy.chunk_index_digest }))
}

/**
 * Whether the drives of a shed are those that a memory was kept over. One that was read in part then may be whole by now, and is the same.
 *
 * @throws Problem as lowerMarks does
 */
export async function areLowers(
  { images }: Pick<ShedsContext, 'images'>,
  record: ShedRecord,
  { drives, marks }: { readonly drives: readonly DriveSpec[]; readonly marks: readonly LowerMark[] },
): Promise<boolean> {
  const [mark, ...others] = marks
  if (record.lazy === undefined && mark !== undefined && 'chunk_index_digest' in mark && others.length === 0) {
    return await images.isKeptAs(parseDigest(record.image.manifest_digest), mark.chunk_index_digest)
  }
  return isDeepStrictEqual(await lowerMarks(record, drives), marks)
}

function isOfImage({ id }: DriveSpec): boolean {
  return /^lower(-\d+)?$/.test(id)
}

async function wholeMark({ id, path }: DriveSpec): Promise<LowerMark> {
  try {
    await using file = await open(path, 'r')
    const { size } = await file.stat()
    const { buffer, bytesRead } = await file.read(Buffer.alloc(Math.min(size, headBytes)), 0, undefined, 0)
    const head = createHash('sha256').update(buffer.subarray(0, bytesRead))
    return { id, bytes: size, head_sha256: head.digest('hex') }
  } catch (error) {
    throw problemFromSystem(error, `look at ${path}`)
  }
}
