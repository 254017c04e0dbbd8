import { formatDuration, formatSize, printable } from '../../base/index.ts'
import type { Size, UsageReport } from '../../contract/index.ts'
import { type Column, details, table } from '../terminal/table.ts'

type Total = UsageReport['totals']['all']

interface Category extends Total {
  readonly name: string
}

/** What a server holds, a line for each category. */
export function usageRollup(report: UsageReport): string {
  const { images, sheds, snapshots, volumes, caches, orphans, all } = report.totals
  const categories: Category[] = [
    { name: 'images', ...images },
    { name: `sheds (${sheds.stopped} stopped, ${sheds.running} run)`, ...sheds },
    { name: 'snapshots', ...snapshots },
    { name: 'volumes', ...volumes },
    { name: 'caches', ...caches },
    { name: 'orphans', ...orphans },
    { name: 'TOTAL', ...all },
  ]
  const columns: readonly Column<Category>[] = [
    { title: 'CATEGORY', cell: ({ name }) => name },
    { title: 'FILES', align: 'right', cell: ({ files }) => String(files) },
    ...sizeColumns<Category>((category) => category),
    ...ownColumns<Category>(),
  ]
  const head = `SERVER: ${printable(report.server_name)}  BACKEND: ${printable(report.backend)}\nGENERATED: ${seconds(report.generated_at)}\n\n`
  const notes = report.notes.map((note) => `Note: ${printable(note)}\n`).join('')
  return `${head}${table(columns, categories)}\n${usageFooter(report)}${notes === '' ? '' : `\n${notes}`}`
}

/** What is true of all of it together, and of the filesystem that it is on. */
function usageFooter({ union_bytes: union, accuracy, filesystem, deleted }: UsageReport): string {
  const open = deleted.reduce((sum, { size }) => sum + size.physical_bytes, 0)
  const { used_bytes: used, free_bytes: free, metadata_bytes: metadata, other_bytes: other } = filesystem
  return details([
    ['ON DISK', `${formatSize(union)}, each byte once (${accuracy})`],
    ['METADATA', metadata === undefined ? undefined : formatSize(metadata)],
    [
      'RESERVED',
      filesystem.reserved_bytes === 0 ? undefined : `${formatSize(filesystem.reserved_bytes)}, given back by a prune`,
    ],
    [
      'DELETED, OPEN',
      deleted.length === 0
        ? undefined
        : `${formatSize(open)} in ${deleted.length} ${deleted.length === 1 ? 'file' : 'files'}`,
    ],
    [metadata === undefined ? 'OTHERS, METADATA' : 'OTHERS', formatSize(other)],
    ['FILESYSTEM', `${formatSize(used)} used, ${formatSize(free)} free`],
  ])
}

/** A section for each category, with a row for each thing in it. */
export function usageDetails(
  { images, sheds, snapshots, volumes, kernel, initrd, caches, orphans, deleted, generated_at }: UsageReport,
  width?: number,
): string {
  const section = sectionsOf(width)
  const boot = [kernel, initrd].filter((file) => file !== undefined)
  return [
    section('IMAGES', images.flatMap(imageLines), [
      { title: 'NAME', cell: ({ name }) => name, shrinks: true },
      { title: 'PATH', cell: ({ path }) => printable(path), shrinks: true },
      ...sizeColumns<ImageLine>(({ size }) => size),
      ...ownColumns<ImageLine>(),
    ]),
    section('SHEDS', sheds, [
      ...namedColumns,
      { title: 'IMAGE', cell: ({ image }) => printable(image), shrinks: true },
      { title: 'ROOTFS', cell: ({ rootfs }) => (rootfs === undefined ? '-' : printable(rootfs.path)), shrinks: true },
      ...heldColumns,
    ]),
    section('SNAPSHOTS', snapshots, [
      ...namedColumns,
      { title: 'SHED', cell: ({ shed }) => printable(shed) },
      diskColumn,
      ...heldColumns,
    ]),
    section('VOLUMES', volumes, [...namedColumns, diskColumn, ...heldColumns]),
    section('KERNEL', boot, fileColumns),
    section('CACHES', caches, [...fileColumns, lastUsedColumn(generated_at)]),
    section('ORPHANS', orphans, fileColumns),
    section('DELETED, STILL OPEN', deleted, fileColumns),
  ].join('')
}

type Named = Pick<UsageReport['sheds'][number], 'name' | 'status' | 'protected'>

const namedColumns: readonly Column<Named>[] = [
  { title: 'NAME', cell: ({ name }) => printable(name) },
  {
    title: 'STATUS',
    cell: ({ status, protected: kept }) => `${printable(status)}${kept === true ? ', protected' : ''}`,
  },
]

const diskColumn: Column<Pick<UsageReport['volumes'][number], 'disk'>> = {
  title: 'PATH',
  cell: ({ disk }) => (disk === undefined ? '-' : printable(disk.path)),
  shrinks: true,
}

type Held = Omit<UsageReport['volumes'][number], 'disk'>

const heldColumns: readonly Column<Held>[] = [
  ...sizeColumns<Held>(({ total }) => total),
  ...ownColumns<Held>(),
  {
    title: 'SHARED WITH',
    cell: ({ shared_with: others }) => others.map(({ name }) => printable(name)).join(', '),
    shrinks: true,
  },
]

type Row = UsageReport['caches'][number]

interface ImageLine extends Omit<Row, 'kind'> {
  readonly name: string
  readonly shared_bytes?: number
}

/** An image, and below it what it is made of and what is made from it. */
function imageLines({ docker_ref, name, pinned, files, ...image }: UsageReport['images'][number]): ImageLine[] {
  const parts = files.map(({ kind, ...file }) => ({ ...file, name: `  ${printable(kind)}` }))
  return [
    { ...image, name: `${printable(docker_ref === '' ? name : docker_ref)}${pinned === true ? ' (pinned)' : ''}` },
    ...parts,
  ]
}

const fileColumns: readonly Column<Row>[] = [
  { title: 'KIND', cell: ({ kind }) => printable(kind) },
  { title: 'PATH', cell: ({ path }) => printable(path), shrinks: true },
  ...sizeColumns<Row>(({ size }) => size),
  { title: 'EXCLUSIVE', align: 'right', cell: exclusive },
]

/** How long ago, by the clock of the server that says so. */
function lastUsedColumn(now: string): Column<UsageReport['caches'][number]> {
  return {
    title: 'LAST USED',
    cell: ({ last_used_at: at }) =>
      at === undefined ? '-' : `${formatDuration(Math.max(0, Date.parse(now) - Date.parse(at)))} ago`,
  }
}

function sectionsOf(width: number | undefined) {
  return <Row>(title: string, rows: readonly Row[], columns: readonly Column<Row>[]) =>
    rows.length === 0 ? '' : `\n${title}\n${table(columns, rows, width)}`
}

function sizeColumns<Row>(size: (row: Row) => Size): Column<Row>[] {
  return [
    { title: 'LOGICAL', align: 'right', cell: (row) => formatSize(size(row).logical_bytes) },
    { title: 'PHYSICAL', align: 'right', cell: (row) => formatSize(size(row).physical_bytes) },
  ]
}

interface Owned {
  readonly exclusive_bytes: number
  readonly exclusive_bytes_max?: number | undefined
  readonly shared_bytes?: number
}

function ownColumns<Row extends Owned>(): Column<Row>[] {
  return [
    { title: 'EXCLUSIVE', align: 'right', cell: exclusive },
    {
      title: 'SHARED',
      align: 'right',
      cell: ({ shared_bytes: bytes }) => (bytes === undefined ? '' : formatSize(bytes)),
    },
  ]
}

/** Never one number where there are only bounds. */
export function exclusive({ exclusive_bytes: least, exclusive_bytes_max: most }: Owned): string {
  return most === undefined ? formatSize(least) : `≥ ${formatSize(least)}`
}

/** A time without its fraction of a second. */
function seconds(iso: string): string {
  return iso.replace(/\.\d+(?=Z$)/, '')
}
