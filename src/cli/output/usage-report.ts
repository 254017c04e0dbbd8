import { formatDuration, formatSize, printable } from '../../base/index.ts'
import type { Size, UsageReport } from '../../contract/index.ts'
import { type Column, table } from '../terminal/table.ts'

interface Category extends Size {
  readonly name: string
  readonly files: number
}

/** What a server holds, a line for each category. */
export function usageRollup(report: UsageReport): string {
  const { images, sheds, caches, orphans, all } = report.totals
  const categories: Category[] = [
    { name: 'images', ...images },
    { name: `sheds (${sheds.stopped} stopped, ${sheds.running} run)`, ...sheds },
    { name: 'caches', ...caches },
    { name: 'orphans', ...orphans },
    { name: 'TOTAL', ...all },
  ]
  const columns: readonly Column<Category>[] = [
    { title: 'CATEGORY', cell: ({ name }) => name },
    { title: 'FILES', align: 'right', cell: ({ files }) => String(files) },
    ...sizeColumns<Category>((category) => category),
  ]
  const head = `SERVER: ${printable(report.server_name)}  BACKEND: ${printable(report.backend)}\nGENERATED: ${seconds(report.generated_at)}\n\n`
  const notes = report.notes.map((note) => `Note: ${printable(note)}\n`).join('')
  return `${head}${table(columns, categories)}${notes === '' ? '' : `\n${notes}`}`
}

/** A section for each category, with a row for each thing in it. */
export function usageDetails({ images, sheds, kernel, initrd, caches, orphans, generated_at }: UsageReport): string {
  const boot = [kernel, initrd].filter((file) => file !== undefined)
  return [
    section('IMAGES', images, [
      { title: 'NAME', cell: ({ docker_ref, name }) => printable(docker_ref === '' ? name : docker_ref) },
      { title: 'PATH', cell: ({ path }) => printable(path) },
      ...sizeColumns<(typeof images)[number]>(({ size }) => size),
    ]),
    section('SHEDS', sheds, [
      { title: 'NAME', cell: ({ name }) => printable(name) },
      { title: 'STATUS', cell: ({ status }) => printable(status) },
      { title: 'IMAGE', cell: ({ image }) => printable(image) },
      { title: 'ROOTFS', cell: ({ rootfs }) => (rootfs === undefined ? '-' : printable(rootfs.path)) },
      ...sizeColumns<(typeof sheds)[number]>(({ total }) => total),
    ]),
    section('KERNEL', boot, fileColumns),
    section('CACHES', caches, [...fileColumns, lastUsedColumn(generated_at)]),
    section('ORPHANS', orphans, fileColumns),
  ].join('')
}

const fileColumns: readonly Column<UsageReport['caches'][number]>[] = [
  { title: 'KIND', cell: ({ kind }) => printable(kind) },
  { title: 'PATH', cell: ({ path }) => printable(path) },
  ...sizeColumns<UsageReport['caches'][number]>(({ size }) => size),
]

/** How long ago, by the clock of the server that says so. */
function lastUsedColumn(now: string): Column<UsageReport['caches'][number]> {
  return {
    title: 'LAST USED',
    cell: ({ last_used_at: at }) =>
      at === undefined ? '-' : `${formatDuration(Math.max(0, Date.parse(now) - Date.parse(at)))} ago`,
  }
}

function section<Row>(title: string, rows: readonly Row[], columns: readonly Column<Row>[]): string {
  return rows.length === 0 ? '' : `\n${title}\n${table(columns, rows)}`
}

function sizeColumns<Row>(size: (row: Row) => Size): Column<Row>[] {
  return [
    { title: 'LOGICAL', align: 'right', cell: (row) => formatSize(size(row).logical_bytes) },
    { title: 'PHYSICAL', align: 'right', cell: (row) => formatSize(size(row).physical_bytes) },
  ]
}

/** A time without its fraction of a second. */
function seconds(iso: string): string {
  return iso.replace(/\.\d+(?=Z$)/, '')
}
