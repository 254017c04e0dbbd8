import type { Backup } from './repository/backups.ts'

export interface Retention {
  /** So many of the newest of each volume and snapshot. */
  readonly keepLast?: number | undefined
  /** The newest of each of so many days (UTC) on which there are any. */
  readonly keepDaily?: number | undefined
}

/** The backups that no rule keeps; with no rule all are kept. Those of one volume do not count for another. */
export function selectExpired(backups: readonly Backup[], { keepLast = 0, keepDaily = 0 }: Retention): Backup[] {
  if (keepLast === 0 && keepDaily === 0) return []
  const bySource = new Map<string, Backup[]>()
  for (const backup of backups) {
    const source = `${backup.manifest.kind} ${backup.manifest.name}`
    bySource.set(source, [...(bySource.get(source) ?? []), backup])
  }
  return [...bySource.values()].flatMap((group) => expiredOf(group, keepLast, keepDaily))
}

function expiredOf(group: readonly Backup[], keepLast: number, keepDaily: number): Backup[] {
  const newestFirst = [...group].sort((a, b) => compare(b, a))
  const days = new Set<string>()
  return newestFirst.filter((backup, at) => {
    const day = backup.manifest.created_at.slice(0, 10)
    const isNewestOfItsDay = !days.has(day)
    const isDaily = isNewestOfItsDay && days.size < keepDaily
    days.add(day)
    return at >= keepLast && !isDaily
  })
}

function compare(a: Backup, b: Backup): number {
  return a.manifest.created_at.localeCompare(b.manifest.created_at) || a.id.localeCompare(b.id)
}
