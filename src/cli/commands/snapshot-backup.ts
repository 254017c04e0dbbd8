import { defineBackup } from '../define-backup.ts'
import { snapshotName } from '../options/snapshot-names.ts'

export const snapshotBackup = defineBackup({
  noun: 'snapshot',
  parse: snapshotName,
  backUp: (cli, snapshot, { to, onProgress }) =>
    cli.api.call('backupSnapshot', { params: { snapshot }, body: { to }, onProgress }),
})
