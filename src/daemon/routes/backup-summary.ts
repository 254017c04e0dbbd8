import type { Backup } from '../../backups/index.ts'
import type { BackupSummary } from '../../contract/index.ts'

/** A backup as it is shown. */
export function summaryOf({ id, manifest }: Backup): BackupSummary {
  const { kind, name, created_at, host, files, added_bytes } = manifest
  const sum = (of: 'bytes' | 'data_bytes') => files.reduce((total, file) => total + file[of], 0)
  return { id, kind, name, created_at, host, bytes: sum('bytes'), data_bytes: sum('data_bytes'), added_bytes }
}
