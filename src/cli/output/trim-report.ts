import { formatSize, printable } from '../../base/index.ts'
import type { TrimItem, TrimReport } from '../../contract/index.ts'
import { type Column, table } from '../terminal/table.ts'
import { skippedSection } from './prune-report.ts'

const columns: readonly Column<TrimItem>[] = [
  { title: 'NAME', cell: ({ kind, name }) => `${printable(name)}${kind === 'volume' ? ' (volume)' : ''}` },
  { title: 'BY', cell: ({ by }) => by },
  { title: 'FREE', align: 'right', cell: ({ free_bytes }) => formatSize(free_bytes) },
  {
    title: 'WITH DATA',
    align: 'right',
    cell: ({ punched_bytes: bytes }) => (bytes === undefined ? '-' : formatSize(bytes)),
  },
  { title: 'PHYSICAL', align: 'right', cell: (item) => change(item, 'physical_bytes') },
  { title: 'EXCLUSIVE', align: 'right', cell: (item) => change(item, 'exclusive_bytes') },
]

/** What filesystems of sheds have free that has blocks on the host, or what they had before and after those were given back. */
export function trimReport(report: TrimReport): string {
  const { items, skipped, totals, dry_run, server_name } = report
  const total = dry_run
    ? `TOTAL TO PUNCH: ${formatSize(totals.punched_bytes)}; what of that others share stays with them\n`
    : `RECLAIMED: ${formatSize(totals.reclaimed_bytes ?? 0)} on the filesystem\n`
  const blocks = [
    `SERVER: ${printable(server_name)}${dry_run ? ' (dry-run)' : ''}\n`,
    items.length === 0 ? '' : table(columns, items),
    skippedSection(skipped),
    total,
  ]
  return blocks.filter((block) => block !== '').join('\n')
}

function change({ before, after }: TrimItem, what: keyof TrimItem['before']): string {
  if (after === undefined) return formatSize(before[what])
  return `${formatSize(before[what])} → ${formatSize(after[what])}`
}
