import type { BackupSummary, SnapshotDetail } from '../../contract/index.ts'
import type { Call } from '../http/handlers.ts'
import type { Rooms } from '../rooms.ts'
import { summaryOf } from './backup-summary.ts'

type BackupRooms = Pick<Rooms, 'backups' | 'sheds' | 'events'>

/** Of its own files: nobody writes to them. One that is removed meanwhile has no backup. */
export async function backupSnapshot(
  { backups, sheds, events }: BackupRooms,
  { params: { snapshot: name }, body, onProgress, signal }: Call<'backupSnapshot'>,
): Promise<BackupSummary> {
  await using held = await sheds.snapshots.files(name)
  const { record, files, check } = held
  const made = await backups.backUp({ url: body.to, kind: 'snapshot', name, record, files, check, onProgress, signal })
  const message = `snapshot ${name} is backed up to ${body.to}`
  events.append({ type: 'snapshot.backed-up', subject: name, message, data: { backup: made.id } })
  return summaryOf(made)
}

export async function restoreSnapshot(
  { backups, sheds }: BackupRooms,
  { body, onProgress, signal }: Call<'restoreSnapshot'>,
): Promise<SnapshotDetail> {
  return await sheds.snapshots.restore(body.name, async (directory) => {
    const options = { url: body.from, backup: body.backup, kind: 'snapshot' as const, directory, onProgress, signal }
    const { manifest } = await backups.restore(options)
    return { record: manifest.record, files: manifest.files }
  })
}
