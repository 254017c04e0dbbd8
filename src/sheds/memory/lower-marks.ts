import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { problemFromSystem } from '../../base/index.ts'
import type { DriveSpec } from '../../machines/index.ts'
import type { LowerMark } from './memory-record.ts'

/** The metadata of a lower begins there; another form of the same image differs in its first block. */
const headBytes = 256 * 1024

/** What the drives are that a shed shares with others of its image. @throws Problem FILE_NOT_FOUND, IO_FAILED */
export async function lowerMarks(drives: readonly DriveSpec[]): Promise<LowerMark[]> {
  return await Promise.all(drives.filter(isOfImage).map(lowerMark))
}

function isOfImage({ id }: DriveSpec): boolean {
  return /^lower(-\d+)?$/.test(id)
}

async function lowerMark({ id, path }: DriveSpec): Promise<LowerMark> {
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
