import { formatSize, printable } from '../../base/index.ts'
import type { PruneItem, PruneReport, PruneSkip } from '../../contract/index.ts'
import { type Column, table } from '../terminal/table.ts'

const sections = [
  ['instance', 'INSTANCES'],
  ['image', 'IMAGES'],
  ['orphan', 'ORPHANS'],
  ['log', 'LOGS'],
] as const

/** A plan of a prune: what would go, what would not and why, and the sum. */
export function prunePlan(report: PruneReport): string {
  const { items, skipped, notes, totals } = report
  const blocks = [
    ...sections.map(([kind, title]) =>
      itemSection(
        title,
        items.filter((item) => item.kind === kind),
      ),
    ),
    skippedSection(skipped),
    notes.map((note) => `Note: ${printable(note)}\n`).join(''),
    `TOTAL TO FREE: ${both(totals.freed)} (${totals.items} ${totals.items === 1 ? 'item' : 'items'})\n`,
  ]
  return `${heading(report)}\n${blocks.filter((block) => block !== '').join('\n')}`
}

/** What a prune has done. */
export function pruneOutcome({ items, skipped, totals }: PruneReport): string {
  const reclaimed =
    totals.reclaimed_bytes === undefined ? '' : `; ${formatSize(totals.reclaimed_bytes)} reclaimed on the filesystem`
  const skips = skippedSection(skipped)
  return `${skips}${skips === '' ? '' : '\n'}FREED: ${both(totals.freed)} (${items.length} ${items.length === 1 ? 'item' : 'items'})${reclaimed}\n`
}

function heading({ server_name, dry_run, until, scope }: PruneReport): string {
  const dry = dry_run ? ' (dry-run)' : ''
  return `SERVER: ${printable(server_name)}${dry}  --until ${printable(until)}  scope=${scope.join('+')}\n`
}

function itemSection(title: string, items: readonly PruneItem[]): string {
  if (items.length === 0) return ''
  const logical = items.reduce((sum, { freed }) => sum + freed.logical_bytes, 0)
  const named = items.some(({ name }) => name !== undefined)
  const placed = items.some(({ path }) => path !== undefined)
  const columns: Column<PruneItem>[] = [
    ...(named ? [{ title: 'NAME', cell: ({ name }: PruneItem) => printable(name ?? '-') }] : []),
    ...(placed ? [{ title: 'PATH', cell: ({ path }: PruneItem) => printable(path ?? '-') }] : []),
    { title: 'LOGICAL', align: 'right', cell: ({ freed }) => formatSize(freed.logical_bytes) },
    { title: 'PHYSICAL', align: 'right', cell: ({ freed }) => formatSize(freed.physical_bytes) },
  ]
  return `${title} (${items.length}, ${formatSize(logical)})\n${table(columns, items)}`
}

function skippedSection(skipped: readonly PruneSkip[]): string {
  if (skipped.length === 0) return ''
  const columns: readonly Column<PruneSkip>[] = [
    { title: 'KIND', cell: ({ kind }) => printable(kind) },
    { title: 'NAME/PATH', cell: ({ name, path }) => printable(name ?? path ?? '-') },
    { title: 'REASON', cell: ({ reason }) => printable(reason) },
  ]
  return `SKIPPED (${skipped.length})\n${table(columns, skipped)}`
}

function both({ logical_bytes, physical_bytes }: PruneReport['totals']['freed']): string {
  return `${formatSize(logical_bytes)} logical / ${formatSize(physical_bytes)} physical`
}
