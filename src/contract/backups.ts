import { z } from 'zod'

/** A backup of a volume or a snapshot. */
export const BackupSummary = z.object({
  id: z.string(),
  kind: z.enum(['volume', 'snapshot']),
  /** Of what it is a backup. */
  name: z.string(),
  created_at: z.iso.datetime(),
  /** The host that made it. */
  host: z.string(),
  /** How large its disks are. */
  bytes: z.int(),
  /** What is in them: the rest is holes. */
  data_bytes: z.int(),
  /** What was sent for it: the rest was there already. */
  added_bytes: z.int(),
})
export type BackupSummary = z.infer<typeof BackupSummary>

/** A directory of the daemon's host, or s3://bucket/prefix. */
const Place = z.string().min(1).max(4096)

export const BackupVolumeRequest = z.strictObject({ to: Place })
export const RestoreVolumeRequest = z.strictObject({
  /** An id, or the name of a volume: the newest backup of it. */
  backup: z.string().min(1).max(255),
  from: Place,
  /** Of the volume that is made. */
  name: z.string(),
})

export const BackupSnapshotRequest = z.strictObject({ to: Place })
export const RestoreSnapshotRequest = z.strictObject({
  /** An id, or the name of a snapshot: the newest backup of it. */
  backup: z.string().min(1).max(255),
  from: Place,
  /** Of the snapshot that is made. */
  name: z.string(),
})

export const BackupsQuery = z.strictObject({ at: Place })
export const ListBackupsReply = z.object({
  /** The newest first. */
  backups: z.array(BackupSummary),
  /** Those that cannot be read. */
  broken: z.array(z.object({ id: z.string(), reason: z.string() })),
})
export type ListBackupsReply = z.infer<typeof ListBackupsReply>

export const PruneBackupsRequest = z.strictObject({
  at: Place,
  /** So many of the newest of each volume and snapshot stay. */
  keep_last: z.int().min(0).optional(),
  /** The newest of each of so many days (UTC) that have any stays. */
  keep_daily: z.int().min(0).optional(),
  dry_run: z.boolean().default(false),
})
export const PruneBackupsReply = z.object({
  /** By no rule kept. With no rule all are, and only what no backup needs goes. */
  removed: z.array(BackupSummary),
  freed_bytes: z.int(),
  kept_bytes: z.int(),
})
export type PruneBackupsReply = z.infer<typeof PruneBackupsReply>

export const VerifyBackupsRequest = z.strictObject({
  at: Place,
  /** One; all unless told. */
  backup: z.string().min(1).max(255).optional(),
})
export const VerifyBackupsReply = z.object({
  /** Ids of those that can be restored. */
  intact: z.array(z.string()),
  /** What cannot be had: a piece of a file each, or a whole backup. */
  damaged: z.array(
    z.object({
      backup: z.string(),
      file: z.string().optional(),
      offset: z.int().optional(),
      bytes: z.int().optional(),
      message: z.string(),
    }),
  ),
  /** Read and proved. */
  chunks: z.int(),
  bytes: z.int(),
})
export type VerifyBackupsReply = z.infer<typeof VerifyBackupsReply>

/** Whoever has it, and the place where backups are, has what is in them. */
export const BackupKeyReply = z.object({ id: z.string(), key: z.string() })
export const ImportBackupKeyRequest = z.strictObject({ key: z.string().max(1000) })
export const ImportBackupKeyReply = z.object({ id: z.string() })
