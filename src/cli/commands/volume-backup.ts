import { defineBackup } from '../define-backup.ts'
import { volumeName } from '../options/volume-names.ts'

export const volumeBackup = defineBackup({
  noun: 'volume',
  parse: volumeName,
  backUp: (cli, volume, { to, onProgress }) =>
    cli.api.call('backupVolume', { params: { volume }, body: { to }, onProgress }),
})
