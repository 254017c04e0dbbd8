/**
 * backups: disks and what is known of them, kept elsewhere.
 *
 * Belongs here: the format of a repository of backups, the places where one can be, making, restoring, verifying and pruning backups of sparse files.
 * Promises: the place where backups are learns nothing of what is in them, and cannot give back anything else unnoticed; only what is not there yet
 *   travels; whatever is cut off or killed leaves a repository with all backups that it had and no half one.
 * Never: knows what a volume or a snapshot is; reads a file that somebody writes to; shows a key or a credential in a message.
 */
export type { BackupKey } from './keys/backup-key.ts'
export { formatBackupKey } from './keys/backup-key.ts'
export { type Backups, openBackups } from './open-backups.ts'
export type { Backup } from './repository/backups.ts'
export type { BackupTarget } from './targets/target.ts'
