import { stat } from 'node:fs/promises'
import { problemFromSystem } from '../../base/index.ts'
import type { DriveSpec } from '../../machines/index.ts'
import type { DiskMark } from './memory-record.ts'

/** What disks are at the moment. @throws Problem FILE_NOT_FOUND, IO_FAILED */
export async function diskMarks(drives: readonly DriveSpec[]): Promise<DiskMark[]> {
  return await Promise.all(
    drives.map(async ({ id, path }) => {
      try {
        const { ino, size, mtimeNs } = await stat(path, { bigint: true })
        return { id, inode: String(ino), bytes: Number(size), modified_ns: String(mtimeNs) }
      } catch (error) {
        throw problemFromSystem(error, `look at ${path}`)
      }
    }),
  )
}
