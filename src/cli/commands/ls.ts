import { formatSize, printable } from '../../base/index.ts'
import type { Shed } from '../../contract/index.ts'
import type { DefineCommand } from '../define-command.ts'
import { relativeTime } from '../terminal/relative-time.ts'
import { type Column, table } from '../terminal/table.ts'

interface Options {
  readonly quiet?: boolean
}

export const ls: DefineCommand = (command, run) => {
  command
    .option('-q, --quiet', 'names only')
    .option('-a, --all', 'every shed, which is what is listed anyway')
    .action(
      run(async (cli, { quiet }: Options) => {
        const { sheds } = await cli.api.call('listSheds', {})
        if (cli.json) cli.printJson({ sheds })
        else if (quiet === true) cli.print(sheds.map(({ name }) => `${printable(name)}\n`).join(''))
        else cli.print(table(columns, sheds))
      }),
    )
}

const columns: readonly Column<Shed>[] = [
  { title: 'NAME', cell: ({ name }) => printable(name) },
  { title: 'STATUS', cell: ({ status }) => status },
  { title: 'IMAGE', cell: ({ image }) => printable(image.ref) },
  { title: 'CPUS', align: 'right', cell: ({ cpus }) => String(cpus) },
  { title: 'MEMORY', align: 'right', cell: ({ memory_bytes }) => formatSize(memory_bytes) },
  { title: 'CHANGED', cell: ({ changed_at }) => relativeTime(changed_at) },
  {
    title: 'FORWARDS',
    cell: ({ forwards }) => forwards.map(({ guest_port, host_port }) => `${host_port}→${guest_port}`).join(' '),
  },
]
