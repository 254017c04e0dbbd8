import { Problem } from '../../base/index.ts'
import type { Backup } from './backups.ts'

/** A backup of which nobody knows what it needs, so that nothing can be removed. */
export function unreadableMap(backups: readonly Backup[], map: string, why: string): Problem {
  const ids = backups.filter(({ manifest }) =>
    manifest.files.some(({ regions }) => regions.some((region) => region.map === map)),
  )
  const names = ids.map(({ id }) => id).join(', ')
  return new Problem(
    'BACKUP_DAMAGED',
    `nothing is removed, because nobody can tell what backup ${names} needs: ${why}`,
    {
      hint: 'see what is damaged: cowshed backup verify; remove what is, with: cowshed backup rm; then prune again',
      data: { backups: ids.map(({ id }) => id) },
    },
  )
}
