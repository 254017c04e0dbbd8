import { stat } from 'node:fs/promises'
import { problemFromSystem } from '../../base/index.ts'
import type { DriveSpec } from '../../machines/index.ts'
import type { ShedsContext } from '../context.ts'
import type { ShedRecord } from '../records/shed-record.ts'
import { attachedDrives } from '../shed-disk.ts'
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

/** What the disks are that a copy of a shed has no copies of: volumes that are only read. */
export async function sharedDiskMarks(context: Pick<ShedsContext, 'layout'>, record: ShedRecord): Promise<DiskMark[]> {
  return await diskMarks((await attachedDrives(context, record)).filter(({ readOnly }) => readOnly))
}
