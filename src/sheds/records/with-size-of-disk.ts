import { fileStatus } from '../../host/index.ts'
import { writeRecord } from '../../state/index.ts'
import type { ShedsContext } from '../context.ts'
import { diskPath } from '../shed-disk.ts'
import type { ShedRecord } from './shed-record.ts'

/** A shed that has no VM, with its disk as large as that is: whoever made it larger may have been killed before the record said so. */
export async function withSizeOfDisk(
  { layout }: Pick<ShedsContext, 'layout'>,
  record: ShedRecord,
): Promise<ShedRecord> {
  const bytes = (await fileStatus(diskPath(layout, record)))?.size ?? 0
  if (bytes <= record.upper_bytes) return record
  const mended = { ...record, upper_bytes: bytes }
  // On a full disk the next one who looks writes it.
  await writeRecord(layout.shed(record.name).record, mended).catch(() => undefined)
  return mended
}
