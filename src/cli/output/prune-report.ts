import { formatSize, printable } from '../../base/index.ts'
import type { PruneItem, PruneReport, PruneSkip } from '../../contract/index.ts'
import { type Column, table } from '../terminal/table.ts'

const sections = [
  ['reservation', 'RESERVATIONS, GIVEN BACK'],
  ['instance', 'INSTANCES'],
  ['image', 'IMAGES'],
  ['layers', 'LAYERS'],
  ['cache', 'CACHE'],
  ['lazy', 'LAZY'],
  ['orphan', 'ORPHANS'],
  ['log', 'LOGS'],
] as const

/**
 * A plan of a prune: what would go, what would not and why, and the sum.
 *
 * @param width of the terminal, if it is for one
 */
export function prunePlan(report: PruneReport, width?: number): string {
  const { items, skipped, notes, totals } = report
  const blocks = [
    ...sections.map(([kind, title]) =>
      itemSection(
        title,
        items.filter((item) => item.kind === kind),
        width,
      ),
    ),
    skippedSection(skipped),
    notes.map((note) => `Note: ${printable(note)}\n`).join(''),
    `TOTAL TO FREE: ${amount(totals)} (${totals.items} ${totals.items === 1 ? 'item' : 'items'})\n`,
  ]
  return `${heading(report)}\n${blocks.filter((block) => block !== '').join('\n')}`
}

/** What a prune has done. */
export function pruneOutcome({ items, skipped, totals }: PruneReport): string {
  const reclaimed =
    totals.reclaimed_bytes === undefined
      ? ''
      : `; ${formatSize(totals.predicted_bytes)} predicted, ${formatSize(totals.reclaimed_bytes)} reclaimed on the filesystem`
  const skips = skippedSection(skipped)
  return `${skips}${skips === '' ? '' : '\n'}FREED: ${amount(totals)} (${items.length} ${items.length === 1 ? 'item' : 'items'})${reclaimed}\n`
}

function heading({ server_name, dry_run, until, scope }: PruneReport): string {
  const dry = dry_run ? ' (dry-run)' : ''
  return `SERVER: ${printable(server_name)}${dry}  --until ${printable(until)}  scope=${scope.join('+')}\n`
}

function itemSection(title: string, items: readonly PruneItem[], width: number | undefined): string {
  if (items.length === 0) return ''
  const logical = items.reduce((sum, { freed }) => sum + freed.logical_bytes, 0)
  const named = items.some(({ name }) => name !== undefined)
  const placed = items.some(({ path }) => path !== undefined)
  const shares = items.some((item) => item.marginal_bytes !== undefined)
  const columns: Column<PruneItem>[] = [
    ...(named ? [{ title: 'NAME', cell: ({ name }: PruneItem) => printable(name ?? '-') }] : []),
    ...(placed
      ? [{ title: 'PATH', cell: ({ path }: PruneItem) => printable(path ?? '-'), shrinks: true as const }]
      : []),
    { title: 'LOGICAL', align: 'right', cell: ({ freed }) => formatSize(freed.logical_bytes) },
    { title: 'PHYSICAL', align: 'right', cell: ({ freed }) => formatSize(freed.physical_bytes) },
    ...(shares ? [freesColumn] : []),
    ...(items.some((item) => item.shared_with !== undefined) ? [sharedColumn] : []),
    ...(items.some((item) => item.last_used_at !== undefined) ? [lastUsedColumn] : []),
  ]
  return `${title} (${items.length}, ${formatSize(logical)})\n${table(columns, items, width)}`
}

/** What shares its bytes with another row frees nothing before the last of them goes. */
const freesColumn: Column<PruneItem> = {
  title: 'FREES',
  align: 'right',
  cell: ({ freed, marginal_bytes: least, marginal_bytes_max: most }) =>
    `${most === undefined ? '' : '≥ '}${formatSize(least ?? freed.physical_bytes)}`,
}

/** Of what frees nothing alone. */
const sharedColumn: Column<PruneItem> = {
  title: 'SHARED WITH',
  cell: ({ shared_with: others = [] }) => others.map(({ name }) => printable(name)).join(', '),
}

const lastUsedColumn: Column<PruneItem> = {
  title: 'LAST USED',
  cell: ({ last_used_at: at }) => (at === undefined ? '-' : `${at.slice(0, 16).replace('T', ' ')}Z`),
}

/** What might have been expected, and why it is not. */
export function skippedSection(skipped: readonly PruneSkip[]): string {
  if (skipped.length === 0) return ''
  const columns: readonly Column<PruneSkip>[] = [
    { title: 'KIND', cell: ({ kind }) => printable(kind) },
    { title: 'NAME/PATH', cell: ({ name, path }) => printable(name ?? path ?? '-') },
    { title: 'REASON', cell: ({ reason }) => printable(reason) },
  ]
  return `SKIPPED (${skipped.length})\n${table(columns, skipped)}`
}

function amount({ freed, predicted_bytes }: PruneReport['totals']): string {
  const both = `${formatSize(freed.logical_bytes)} logical / ${formatSize(freed.physical_bytes)} physical`
  return predicted_bytes === freed.physical_bytes ? both : `${both} / ${formatSize(predicted_bytes)} of the disk`
}
