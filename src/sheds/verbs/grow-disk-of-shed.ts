import { join } from 'node:path'
import { formatSize, Problem } from '../../base/index.ts'
import { growDisk, upperBytes } from '../../disks/index.ts'
import { cloneFile, installFile, openStaging } from '../../host/index.ts'
import type { ShedsContext } from '../context.ts'
import type { ShedRecord } from '../records/shed-record.ts'
import { diskPath } from '../shed-disk.ts'

/**
 * Gives a settled shed that has no VM a larger disk, inside its transition: a copy of its own grows, and takes its place by one rename. Where files share no extents all that is on
 * the disk is copied, and has its room twice for that long. The record says the new size afterwards: who is killed between the two has it from the file (withSizeOfDisk).
 *
 * @returns the size that it has now, in bytes
 * @throws Problem INVALID_REQUEST for a smaller one, EXT4_INVALID, NO_SPACE, IO_FAILED; it has the disk that it had then
 */
export async function growDiskOfShed(context: ShedsContext, record: ShedRecord, wanted: number): Promise<number> {
  const { layout } = context
  const bytes = upperBytes(wanted)
  if (bytes < record.upper_bytes) throw smaller(record)
  if (bytes === record.upper_bytes) return bytes
  const path = diskPath(layout, record)
  await using staging = await openStaging(layout, `grow-${record.name}`)
  const grown = join(staging.path, 'disk')
  await cloneFile(path, grown)
  await growDisk({ path: grown, bytes })
  await installFile({ from: grown, to: path, mode: 0o600 })
  return bytes
}

function smaller({ name, upper_bytes: bytes }: ShedRecord): Problem {
  return new Problem('INVALID_REQUEST', `the disk of ${name} has ${formatSize(bytes)} already: it can only grow`, {
    hint: 'a shed with a smaller one is a new one: cowshed create --upper-size SIZE',
    data: { upper_bytes: bytes },
  })
}
