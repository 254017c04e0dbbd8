import { formatSize, printable, shortDigest } from '../../base/index.ts'
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
  { title: 'STATUS', cell: ({ status }) => status },
  { title: 'PROFILE', cell: ({ profile }) => profile ?? '' },
  { title: 'SIZE', align: 'right', cell: ({ bytes }) => (bytes === undefined ? '' : formatSize(bytes)) },
  { title: 'HERE', align: 'right', cell: ({ physical_bytes }) => formatSize(physical_bytes) },
  { title: 'USED', cell: ({ last_used_at }) => (last_used_at === undefined ? '' : relativeTime(last_used_at)) },
]

/** One whose record is lost is known by its directory. */
function nameOf({ reference, chunk_index_digest }: LazyImage): string {
  return printable(reference ?? `<none>@${shortDigest(chunk_index_digest)}`)
}
