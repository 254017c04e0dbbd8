import { formatDuration, formatSize, printable, shortDigest } from '../../base/index.ts'
import type { LazyCounts, LazyImage } from '../../contract/index.ts'
import { relativeTime } from '../terminal/relative-time.ts'
import { type Column, table } from '../terminal/table.ts'
import { troublesOf } from './describe-lazy.ts'

/** Images of which only some is here. @param wide with what serving them has taken */
export function lazyTable(images: readonly LazyImage[], { wide }: { readonly wide: boolean }): string {
  return table([...what, ...(wide ? [...took, ...trouble] : waited), ...who, ...(wide ? [index] : [])], images)
}

/** One whose record is lost is known by its directory. */
export function nameOfLazy({ reference, chunk_index_digest }: LazyImage): string {
  return printable(reference ?? `<none>@${shortDigest(chunk_index_digest)}`)
}

type LazyColumn = Column<LazyImage>

/** Of what serving it has taken; empty where nobody knows. */
function counted(title: string, cell: (counts: LazyCounts) => string): LazyColumn {
  return { title, align: 'right', cell: ({ progress }) => (progress === undefined ? '' : cell(progress.counts)) }
}

const what: readonly LazyColumn[] = [
  { title: 'IMAGE', cell: nameOfLazy },
  { title: 'STATUS', cell: statusOf },
  { title: 'PROFILE', cell: ({ profile }) => profile ?? '' },
  { title: 'SIZE', align: 'right', cell: ({ bytes }) => (bytes === undefined ? '' : formatSize(bytes)) },
  { title: 'HERE', align: 'right', cell: ({ progress }) => (progress ? `${progress.here_percent} %` : '') },
  { title: 'ON DISK', align: 'right', cell: ({ physical_bytes }) => formatSize(physical_bytes) },
]

const waited: readonly LazyColumn[] = [
  counted('REQUESTS', ({ requests }) => String(requests)),
  counted('MISSES', ({ misses }) => String(misses)),
  counted('STALLED', ({ stall_ms }) => formatDuration(stall_ms)),
]

const took: readonly LazyColumn[] = [
  ...waited,
  counted('ASKED FOR', ({ requested_bytes }) => formatSize(requested_bytes)),
  counted('FETCHED', ({ fetched_bytes }) => formatSize(fetched_bytes)),
  counted('FROM HOST', ({ host_bytes }) => formatSize(host_bytes)),
  counted('READ', ({ read_bytes }) => formatSize(read_bytes)),
  counted('UNREAD', ({ unread_bytes }) => formatSize(unread_bytes)),
]

const trouble: readonly LazyColumn[] = [
  counted('RETRIES', ({ retries }) => String(retries)),
  counted('WRONG', ({ wrong_leaves }) => String(wrong_leaves)),
  counted('DAMAGED', ({ damaged_leaves }) => String(damaged_leaves)),
  counted('UNSAVED', ({ unsaved_leaves }) => String(unsaved_leaves)),
  { title: 'CLIENTS', align: 'right', cell: ({ clients }) => String(clients) },
]

const who: readonly LazyColumn[] = [
  { title: 'SHEDS', cell: ({ sheds }) => sheds.map(printable).join(' ') },
  { title: 'USED', cell: ({ last_used_at }) => (last_used_at === undefined ? '' : relativeTime(last_used_at)) },
]

const index: LazyColumn = { title: 'CHUNK INDEX', cell: ({ chunk_index_digest }) => shortDigest(chunk_index_digest) }

function statusOf({ status, progress }: LazyImage): string {
  return [status, ...(progress === undefined ? [] : troublesOf(progress))].join(', ')
}
