import { formatSize, printable } from '../../base/index.ts'
import type { UsageExplained } from '../../contract/index.ts'
import { type Column, table } from '../terminal/table.ts'
import { exclusive } from './usage-report.ts'

type Share = UsageExplained['shares'][number]

/** What of a thing is its own, and who shares the rest: how far a clone has grown away from what it came from. */
export function usageExplained(explained: UsageExplained): string {
  const { kind, name, shared_bytes: shared, exclusive_bytes: own, shares } = explained
  const held = own + shared
  const atLeast = ({ bytes_max }: Share) => (bytes_max === undefined ? '' : '≥ ')
  const percent = (bytes: number) => (held === 0 ? '-' : `${Math.round((bytes / held) * 100)} %`)
  const head = `${printable(kind)} ${printable(name)}: ${formatSize(held)} on disk, ${exclusive(explained)} of it (${percent(own)}) its own, ${formatSize(shared)} shared\n`
  if (shares.length === 0) return shared === 0 ? head : `${head}\nWhoever shares it is not in the data directory.\n`
  const columns: readonly Column<Share>[] = [
    { title: 'SHARED WITH', cell: (share) => printable(share.name) },
    { title: 'KIND', cell: (share) => printable(share.kind) },
    { title: 'BYTES', align: 'right', cell: (share) => atLeast(share) + formatSize(share.bytes) },
    { title: 'OF IT', align: 'right', cell: (share) => atLeast(share) + percent(share.bytes) },
  ]
  return `${head}\n${table(columns, shares)}`
}
