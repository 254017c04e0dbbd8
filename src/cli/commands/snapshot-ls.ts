import { formatSize, printable } from '../../base/index.ts'
import type { Snapshot } from '../../contract/index.ts'
import type { DefineCommand } from '../define-command.ts'
import { relativeTime } from '../terminal/relative-time.ts'
import { type Column, table } from '../terminal/table.ts'

interface Options {
  readonly quiet?: boolean
}

export const snapshotLs: DefineCommand = (command, run) => {
  command.option('-q, --quiet', 'names only').action(
    run(async (cli, { quiet }: Options) => {
      const { snapshots } = await cli.api.call('listSnapshots', {})
      if (cli.json) cli.printJson({ snapshots })
      else if (quiet === true) cli.print(snapshots.map(({ name }) => `${printable(name)}\n`).join(''))
      else cli.print(table(columns, snapshots))
    }),
  )
}

const columns: readonly Column<Snapshot>[] = [
  { title: 'NAME', cell: ({ name }) => printable(name) },
  { title: 'STATUS', cell: ({ status, protected: kept }) => (kept === true ? `${status}, protected` : status) },
  { title: 'SHED', cell: ({ shed }) => printable(shed.name) },
  { title: 'IMAGE', cell: ({ image }) => printable(image.ref) },
  { title: 'ON DISK', align: 'right', cell: sizeOf },
  {
    title: 'MEMORY',
    align: 'right',
    cell: ({ memory }) => (memory === undefined ? '' : formatSize(memory.physical_bytes)),
  },
  { title: 'TAKEN', cell: ({ created_at }) => relativeTime(created_at) },
  { title: 'COMMENT', cell: ({ comment = '' }) => printable(comment) },
]

function sizeOf({ status, physical_bytes }: Snapshot): string {
  return status === 'broken' ? '-' : formatSize(physical_bytes)
}
