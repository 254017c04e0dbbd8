import { chmod, mkdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type DataLayout, isProblem } from '../../base/index.ts'
import { installDirectory } from '../../host/index.ts'
import { stageRecord } from '../../state/index.ts'
import { snapshotParts } from './load-snapshot.ts'
import { type SnapshotRecord, snapshotExists } from './snapshot-record.ts'

interface InstallSnapshot {
  readonly record: SnapshotRecord
  /** In staging, with the disks of the snapshot in it, and its memory if it has any. */
  readonly directory: string
}

/** Makes a snapshot of files that are where they belong. One rename makes it visible. @throws Problem SNAPSHOT_ALREADY_EXISTS, NO_SPACE, IO_FAILED */
export async function installSnapshot(layout: DataLayout, { record, directory }: InstallSnapshot): Promise<void> {
  const { dir, record: recordPath } = layout.snapshot(record.name)
  const { memSnap } = layout.snapshot(record.name)
  // RAM is mapped for writing by whoever goes on from it, though nobody writes to it.
  for (const { name, path } of snapshotParts(layout, record))
    await chmod(join(directory, name), path === memSnap ? 0o600 : 0o400)
  await stageRecord(join(directory, basename(recordPath)), record, { mode: 0o400 })
  await mkdir(layout.snapshots, { recursive: true, mode: 0o700 })
  await installDirectory({ from: directory, to: dir }).catch((error: unknown) => {
    throw isProblem(error, 'FILE_EXISTS') ? snapshotExists(record.name, error) : error
  })
}
