import { formatSize, printable } from '../../base/index.ts'
import type { DedupeItem, DedupeReport } from '../../contract/index.ts'
import { type Column, table } from '../terminal/table.ts'
import { skippedSection } from './prune-report.ts'

const columns: readonly Column<DedupeItem>[] = [
  { title: 'KIND', cell: ({ kind }) => printable(kind) },
  { title: 'NAME', cell: ({ name }) => printable(name) },
  { title: 'SHARED', align: 'right', cell: ({ shared_bytes }) => formatSize(shared_bytes) },
  { title: 'FREES', align: 'right', cell: ({ freed_bytes }) => formatSize(freed_bytes) },
]

/** What disks have in common and what it frees to have it once; after a real run, beside what it has freed. */
export function dedupeReport(report: DedupeReport): string {
  const { items, skipped, dry_run, server_name } = report
  const blocks = [
    `SERVER: ${printable(server_name)}${dry_run ? ' (dry-run)' : ''}\n`,
    items.length === 0 ? '' : table(columns, items),
    skippedSection(skipped),
    summary(report),
  ]
  return blocks.filter((block) => block !== '').join('\n')
}

function summary({ totals, dry_run }: DedupeReport): string {
  const read = `${formatSize(totals.read_bytes)} read, ${formatSize(totals.known_bytes)} known from before`
  if (dry_run) return `TOTAL TO FREE: ${predicted(totals)} (${read})\n`
  const left = [
    ['changed meanwhile', totals.changed_bytes],
    ['refused by the filesystem', totals.refused_bytes],
  ] as const
  const kept = left.flatMap(([why, bytes]) => (bytes ? [`; ${formatSize(bytes)} left alone: ${why}`] : []))
  return `FREED: ${predicted(totals)} predicted, ${formatSize(totals.reclaimed_bytes ?? 0)} reclaimed on the filesystem (${read})${kept.join('')}\n`
}

function predicted({ predicted_bytes, predicted_bytes_max }: DedupeReport['totals']): string {
  if (predicted_bytes_max === undefined) return formatSize(predicted_bytes)
  return `${formatSize(predicted_bytes)} to ${formatSize(predicted_bytes_max)}`
}
