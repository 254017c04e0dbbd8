import {
  BackupKeyReply,
  BackupSnapshotRequest,
  BackupSummary,
  BackupsQuery,
  BackupVolumeRequest,
  ImportBackupKeyReply,
  ImportBackupKeyRequest,
  ListBackupsReply,
  PruneBackupsReply,
  PruneBackupsRequest,
  RestoreSnapshotRequest,
  RestoreVolumeRequest,
  VerifyBackupsReply,
  VerifyBackupsRequest,
} from '../backups.ts'
import { SnapshotDetail } from '../snapshots.ts'
import { Volume } from '../volumes.ts'
import { snapshotReadCodes } from './problem-codes.ts'
import type { RouteTable } from './route-spec.ts'

const placeCodes = [
  'BACKUP_REPOSITORY_INVALID',
  'BACKUP_KEY_NOT_FOUND',
  'BACKUP_TARGET_UNREACHABLE',
  'BACKUP_TARGET_FAILED',
  'PERMISSION_DENIED',
] as const
const repositoryCodes = [...placeCodes, 'BACKUP_REPOSITORY_NOT_FOUND'] as const

export const backupRoutes = {
  backupVolume: {
    kind: 'work',
    summary: 'Back up a volume to a directory or a store: only what is not there yet is sent',
    body: BackupVolumeRequest,
    reply: BackupSummary,
    codes: [
      'VOLUME_NOT_FOUND',
      'VOLUME_IN_USE',
      'AGENT_UNREACHABLE',
      'NO_SPACE',
      'BACKUP_REPOSITORY_BUSY',
      ...placeCodes,
    ],
  },
  restoreVolume: {
    kind: 'work',
    summary: 'Make a volume of a backup; there is all of it, proved, or none',
    body: RestoreVolumeRequest,
    reply: Volume,
    codes: [
      'VOLUME_ALREADY_EXISTS',
      'NO_SPACE',
      'BACKUP_NOT_FOUND',
      'BACKUP_DAMAGED',
      'BACKUP_REPOSITORY_BUSY',
      ...repositoryCodes,
    ],
  },
  backupSnapshot: {
    kind: 'work',
    summary: 'Back up a snapshot, in the same way as volumes and beside them',
    body: BackupSnapshotRequest,
    reply: BackupSummary,
    codes: ['SNAPSHOT_NOT_FOUND', 'RECORD_INVALID', ...snapshotReadCodes, 'BACKUP_REPOSITORY_BUSY', ...placeCodes],
  },
  restoreSnapshot: {
    kind: 'work',
    summary: 'Make a snapshot of a backup; there is all of it, proved, or none',
    body: RestoreSnapshotRequest,
    reply: SnapshotDetail,
    codes: [
      'SNAPSHOT_ALREADY_EXISTS',
      'NO_SPACE',
      'BACKUP_NOT_FOUND',
      'BACKUP_DAMAGED',
      'BACKUP_REPOSITORY_BUSY',
      ...repositoryCodes,
    ],
  },
  listBackups: {
    kind: 'json',
    summary: 'The backups at a place, and those that are there and cannot be read',
    query: BackupsQuery,
    reply: ListBackupsReply,
    codes: repositoryCodes,
  },
  removeBackup: {
    kind: 'json',
    summary: 'Remove a backup; the next prune frees what it alone needed',
    query: BackupsQuery,
    codes: ['BACKUP_NOT_FOUND', ...repositoryCodes],
  },
  pruneBackups: {
    kind: 'work',
    summary: 'Remove the backups that no rule keeps, and what no backup needs',
    body: PruneBackupsRequest,
    reply: PruneBackupsReply,
    codes: ['BACKUP_DAMAGED', 'BACKUP_REPOSITORY_BUSY', ...repositoryCodes],
  },
  verifyBackups: {
    kind: 'work',
    summary: 'Read all that backups need and prove it',
    body: VerifyBackupsRequest,
    reply: VerifyBackupsReply,
    codes: ['BACKUP_NOT_FOUND', 'BACKUP_REPOSITORY_BUSY', ...repositoryCodes],
  },
  showBackupKey: {
    kind: 'json',
    summary: "This host's own backup key, made if there is none: for safekeeping, and for other hosts to restore",
    reply: BackupKeyReply,
    local: true,
    codes: ['RECORD_INVALID', 'PERMISSION_DENIED', 'NO_SPACE'],
  },
  importBackupKey: {
    kind: 'json',
    summary: "Take another host's backup key, to read its backups",
    body: ImportBackupKeyRequest,
    reply: ImportBackupKeyReply,
    local: true,
    codes: ['BACKUP_KEY_INVALID', 'RECORD_INVALID', 'PERMISSION_DENIED', 'NO_SPACE'],
  },
} as const satisfies RouteTable
