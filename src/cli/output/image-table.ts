import { formatSize, printable, shortDigest } from '../../base/index.ts'
import type { ImageSummary } from '../../contract/index.ts'
import { relativeTime } from '../terminal/relative-time.ts'
import { type Column, table } from '../terminal/table.ts'

interface Row extends ImageSummary {
  readonly name: string
}

/** Images with a row for each of their tags. */
export function imageTable(images: readonly ImageSummary[]): string {
  return table(columns, images.flatMap(rowsOf))
}

export interface ImagesOfServer {
  readonly server: string
  readonly images: readonly ImageSummary[]
}

/** The same of several servers. */
export function imageTableOfServers(servers: readonly ImagesOfServer[]): string {
  const rows = servers.flatMap(({ server, images }) => images.flatMap(rowsOf).map((row) => ({ ...row, server })))
  return table([{ title: 'SERVER', cell: ({ server }) => printable(server) }, ...columns], rows)
}

function rowsOf(image: ImageSummary): Row[] {
  return (image.tags.length === 0 ? ['-'] : image.tags).map((name) => ({ ...image, name }))
}

const columns: readonly Column<Row>[] = [
  { title: 'NAME', cell: ({ name }) => printable(name) },
  { title: 'DIGEST', cell: ({ digest }) => shortDigest(digest) },
  { title: 'PLATFORM', cell: ({ platform }) => printable(platform ?? '-') },
  { title: 'LAYERS', align: 'right', cell: ({ layers, boot_only }) => (boot_only ? 'boot-only' : String(layers)) },
  { title: 'SIZE', align: 'right', cell: ({ size_bytes }) => formatSize(size_bytes) },
  {
    title: 'LOWER',
    align: 'right',
    cell: ({ lower_bytes }) => (lower_bytes === undefined ? '-' : formatSize(lower_bytes)),
  },
  { title: 'CREATED', cell: ({ created_at }) => (created_at === undefined ? '-' : relativeTime(created_at)) },
  { title: 'USED BY', cell: ({ used_by, pinned }) => firstOf(pinned === true ? ['(pinned)', ...used_by] : used_by) },
]

const shownUsers = 3

/** A popular image would make a row of pages; `image inspect` names them all. */
function firstOf(names: readonly string[]): string {
  const more = names.length - shownUsers
  const shown = names.slice(0, shownUsers).map(printable).join(' ')
  return more > 0 ? `${shown} and ${more} more` : shown
}
