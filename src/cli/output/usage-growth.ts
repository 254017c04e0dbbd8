import { formatSize, printable } from '../../base/index.ts'
import type { UsageGrowth } from '../../contract/index.ts'
import { type Column, table } from '../terminal/table.ts'

type Change = UsageGrowth['changes'][number]

/** What has changed, the largest first, and what all of it comes to. */
export function usageGrowthReport({ server_name, since, union_bytes, changes, unchanged }: UsageGrowth): string {
  const { before, after } = union_bytes
  const total = `ON DISK: ${formatSize(before)} then, ${formatSize(after)} now (${signed(after - before)}), each byte once\n`
  const rest = `${unchanged} unchanged\n`
  const head = `SERVER: ${printable(server_name)}  SINCE: ${since.replace(/\.\d+(?=Z$)/, '')}\n\n`
  if (changes.length === 0) return `${head}nothing has changed\n\n${total}`
  return `${head}${table(columns, changes)}${rest}\n${total}`
}

const columns: readonly Column<Change>[] = [
  { title: 'CHANGE', cell: ({ change }) => change },
  { title: 'KIND', cell: ({ kind }) => printable(kind) },
  { title: 'NAME', cell: ({ name }) => printable(name) },
  { title: 'EXCLUSIVE', align: 'right', cell: ({ exclusive_bytes: { after } }) => formatSize(after) },
  { title: '', align: 'right', cell: ({ exclusive_bytes: { before, after } }) => signed(after - before) },
  { title: 'PHYSICAL', align: 'right', cell: ({ physical_bytes: { after } }) => formatSize(after) },
  { title: '', align: 'right', cell: ({ physical_bytes: { before, after } }) => signed(after - before) },
]

function signed(bytes: number): string {
  return bytes > 0 ? `+${formatSize(bytes)}` : formatSize(bytes).replace('-', '−')
}
