import type { UsageReport } from '../../contract/index.ts'

export const usageOrders = ['name', 'exclusive', 'physical', 'last-used'] as const
export type UsageOrder = (typeof usageOrders)[number]

interface Sortable {
  readonly name: string
  readonly bytes: number
  readonly exclusive_bytes: number
  readonly last_used_at?: string | undefined
}

/** Rows of each section in another order: by name, the largest first, or what has not been used for longest first. */
export function sortUsage(report: UsageReport, order: UsageOrder): UsageReport {
  const sorted = <T>(rows: readonly T[], of: (row: T) => Sortable) =>
    [...rows].sort((a, b) => compare[order](of(a), of(b)))
  const file = (row: UsageReport['caches'][number]) => ({ ...row, name: row.path, bytes: row.size.physical_bytes })
  return {
    ...report,
    images: sorted(report.images, (row) => ({ ...row, bytes: row.size.physical_bytes })),
    sheds: sorted(report.sheds, (row) => ({ ...row, bytes: row.total.physical_bytes })),
    snapshots: sorted(report.snapshots, (row) => ({ ...row, bytes: row.total.physical_bytes })),
    volumes: sorted(report.volumes, (row) => ({ ...row, bytes: row.total.physical_bytes })),
    caches: sorted(report.caches, file),
    orphans: sorted(report.orphans, file),
  }
}

const compare: Record<UsageOrder, (a: Sortable, b: Sortable) => number> = {
  name: (a, b) => (a.name < b.name ? -1 : 1),
  exclusive: (a, b) => b.exclusive_bytes - a.exclusive_bytes,
  physical: (a, b) => b.bytes - a.bytes,
  'last-used': (a, b) => Date.parse(a.last_used_at ?? '') - Date.parse(b.last_used_at ?? '') || 0,
}
