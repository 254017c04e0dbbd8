import { formatDuration, formatSize, printable, shortDigest } from '../../base/index.ts'
import type { LazyImage } from '../../contract/index.ts'
import type { DefineCommand } from '../define-command.ts'
import { relativeTime } from '../terminal/relative-time.ts'
import { type Column, table } from '../terminal/table.ts'

interface Options {
  readonly quiet?: boolean
}

export const lazyLs: DefineCommand = (command, run) => {
  command.option('-q, --quiet', 'names only').action(
    run(async (cli, { quiet }: Options) => {
      const { images } = await cli.api.call('listLazy', {})
      if (cli.json) cli.printJson({ images })
      else if (quiet === true) cli.print(images.map((image) => `${nameOf(image)}\n`).join(''))
      else cli.print(table(columns, images))
    }),
  )
}

const columns: readonly Column<LazyImage>[] = [
  { title: 'IMAGE', cell: nameOf },
  { title: 'STATUS', cell: statusOf },
  { title: 'PROFILE', cell: ({ profile }) => profile ?? '' },
  { title: 'SIZE', align: 'right', cell: ({ bytes }) => (bytes === undefined ? '' : formatSize(bytes)) },
  { title: 'HERE', align: 'right', cell: ({ progress }) => (progress ? `${progress.here_percent} %` : '') },
  { title: 'ON DISK', align: 'right', cell: ({ physical_bytes }) => formatSize(physical_bytes) },
  { title: 'REQUESTS', align: 'right', cell: ({ progress }) => String(progress?.counts.requests ?? '') },
  { title: 'MISSES', align: 'right', cell: ({ progress }) => String(progress?.counts.misses ?? '') },
  {
    title: 'STALLED',
    align: 'right',
    cell: ({ progress }) => (progress ? formatDuration(progress.counts.stall_ms) : ''),
  },
  { title: 'SHEDS', cell: ({ sheds }) => sheds.map(printable).join(' ') },
  { title: 'USED', cell: ({ last_used_at }) => (last_used_at === undefined ? '' : relativeTime(last_used_at)) },
]

function statusOf({ status, progress }: LazyImage): string {
  return progress?.degraded === undefined ? status : `${status}, registry away`
}

/** One whose record is lost is known by its directory. */
function nameOf({ reference, chunk_index_digest }: LazyImage): string {
  return printable(reference ?? `<none>@${shortDigest(chunk_index_digest)}`)
}
