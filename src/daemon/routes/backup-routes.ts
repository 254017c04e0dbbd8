import { basename, dirname, join } from 'node:path'
import { type Backups, formatBackupKey } from '../../backups/index.ts'
import { Problem, printable } from '../../base/index.ts'
import type { BackupSummary, VerifyBackupsReply } from '../../contract/index.ts'
import { openStaging } from '../../host/index.ts'
import type { Call, Handlers } from '../http/handlers.ts'
import type { Rooms } from '../rooms.ts'
import { summaryOf } from './backup-summary.ts'
import { backupSnapshot, restoreSnapshot } from './snapshot-backups.ts'

type BackupHandlers = Pick<
  Handlers,
  | 'backupVolume'
  | 'restoreVolume'
  | 'backupSnapshot'
  | 'restoreSnapshot'
  | 'listBackups'
  | 'removeBackup'
  | 'pruneBackups'
  | 'verifyBackups'
  | 'showBackupKey'
  | 'importBackupKey'
>
export type BackupRooms = Pick<Rooms, 'backups' | 'sheds' | 'events' | 'layout'>

/** The one file of a volume's backup. */
const diskName = 'data.ext4'

export function backupRoutes(rooms: BackupRooms): BackupHandlers {
  const { backups, events } = rooms
  return {
    backupVolume: (call) => backupVolume(rooms, call),
    restoreVolume: ({ body, onProgress, signal }) =>
      rooms.sheds.volumes.createFrom(body.name, async (path) => {
        const options = { url: body.from, backup: body.backup, kind: 'volume' as const, onProgress, signal }
        await restoreDisk(backups, path, options)
      }),
    backupSnapshot: (call) => backupSnapshot(rooms, call),
    restoreSnapshot: (call) => restoreSnapshot(rooms, call),
    async listBackups({ query, signal }) {
      const { backups: found, broken } = await backups.list({ url: query.at, signal })
      return {
        backups: found.map(summaryOf),
        broken: broken.map(({ id, problem }) => ({ id, reason: problem.message })),
      }
    },
    async removeBackup({ params, query, signal }) {
      await backups.remove({ url: query.at, id: params.backup, signal })
      const message = `backup ${params.backup} is removed from ${query.at}`
      events.append({ type: 'backup.removed', subject: params.backup, message })
    },
    async pruneBackups({ body, signal }) {
      const { at: url, keep_last: keepLast, keep_daily: keepDaily, dry_run: dryRun } = body
      const { removed, freedBytes, keptBytes } = await backups.prune({ url, keepLast, keepDaily, dryRun, signal })
      if (!dryRun) {
        const message = `${url} is pruned: ${removed.length} backups are removed`
        events.append({ type: 'backup.pruned', subject: url, message, data: { freed_bytes: freedBytes } })
      }
      return { removed: removed.map(summaryOf), freed_bytes: freedBytes, kept_bytes: keptBytes }
    },
    async verifyBackups({ body: { at, backup }, onProgress, signal }) {
      const { intact, damaged, chunks, bytes } = await backups.verify({ url: at, backup, onProgress, signal })
      return { intact: [...intact], damaged: damaged.map(damageOf), chunks, bytes }
    },
    async showBackupKey() {
      const key = await backups.keys.own()
      return { id: key.id, key: formatBackupKey(key) }
    },
    async importBackupKey({ body }) {
      const { id } = await backups.keys.import(body.key)
      events.append({ type: 'backup.key-imported', subject: id, message: `backup key ${id} is imported` })
      return { id }
    },
  }
}

/** Of a copy, when it has to be read: its volume can be used again as soon as that is made. */
async function backupVolume(
  { backups, sheds, events, layout }: BackupRooms,
  { params, body, onProgress, signal }: Call<'backupVolume'>,
): Promise<BackupSummary> {
  const name = params.volume
  const { id, created_at } = await sheds.volumes.get(name)
  await using staging = await openStaging(layout, `backup-${name}`)
  const backup = await backups.backUp({
    url: body.to,
    kind: 'volume',
    name,
    record: { id, created_at },
    files: [
      {
        name: diskName,
        source: await sheds.volumes.restingDisk(name),
        async path() {
          const path = join(staging.path, diskName)
          await sheds.volumes.copyDisk(name, path)
          return path
        },
      },
    ],
    onProgress,
    signal,
  })
  const message = `volume ${name} is backed up to ${body.to}`
  events.append({ type: 'volume.backed-up', subject: name, message, data: { backup: backup.id } })
  return summaryOf(backup)
}

async function restoreDisk(
  backups: Backups,
  path: string,
  options: Omit<Parameters<Backups['restore']>[0], 'directory'>,
): Promise<void> {
  const { id, manifest } = await backups.restore({ ...options, directory: dirname(path) })
  if (manifest.files.length === 1 && manifest.files[0]?.name === basename(path)) return
  throw new Problem('BACKUP_DAMAGED', `backup ${id} is not the disk of a volume`, { data: { backup: id } })
}

function damageOf({ message, data }: Problem): VerifyBackupsReply['damaged'][number] {
  const { backup, file, offset, bytes } = data ?? {}
  return {
    backup: String(backup),
    ...(typeof file === 'string' ? { file } : {}),
    ...(typeof offset === 'number' ? { offset } : {}),
    ...(typeof bytes === 'number' ? { bytes } : {}),
    message: printable(message),
  }
}
