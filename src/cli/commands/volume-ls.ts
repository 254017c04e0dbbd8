import { formatSize, printable } from '../../base/index.ts'
import type { Volume } from '../../contract/index.ts'
import type { DefineCommand } from '../define-command.ts'
import { relativeTime } from '../terminal/relative-time.ts'
import { type Column, table } from '../terminal/table.ts'

interface Options {
  readonly quiet?: boolean
}

export const volumeLs: DefineCommand = (command, run) => {
  command.option('-q, --quiet', 'names only').action(
    run(async (cli, { quiet }: Options) => {
      const { volumes } = await cli.api.call('listVolumes', {})
      if (cli.json) cli.printJson({ volumes })
      else if (quiet === true) cli.print(volumes.map(({ name }) => `${printable(name)}\n`).join(''))
      else cli.print(table(columns, volumes))
    }),
  )
}

const columns: readonly Column<Volume>[] = [
  { title: 'NAME', cell: ({ name }) => printable(name) },
  { title: 'STATUS', cell: ({ status, protected: kept }) => (kept === true ? `${status}, protected` : status) },
  { title: 'SIZE', align: 'right', cell: ({ bytes }) => formatSize(bytes) },
  { title: 'ON DISK', align: 'right', cell: ({ physical_bytes }) => formatSize(physical_bytes) },
  { title: 'ATTACHED TO', cell: ({ attached_to }) => attached_to.map(attachment).join('  ') },
  { title: 'CREATED', cell: ({ created_at }) => relativeTime(created_at) },
]

function attachment({ shed, path, read_only }: Volume['attached_to'][number]): string {
  return printable(`${shed}:${path}${read_only ? ':ro' : ''}`)
}
