import { formatSize, printable } from '../../base/index.ts'
import type { BackupSummary } from '../../contract/index.ts'
import type { DefineCommand } from '../define-command.ts'
import { backupPlace, placeHelp } from '../options/backup-place.ts'
import { relativeTime } from '../terminal/relative-time.ts'
import { type Column, table } from '../terminal/table.ts'

interface Options {
  readonly at: string
  readonly quiet?: boolean
}

export const backupLs: DefineCommand = (command, run) => {
  command
    .requiredOption('--at <place>', placeHelp)
    .option('-q, --quiet', 'ids only')
    .action(
      run(async (cli, { at, quiet }: Options) => {
        const reply = await cli.api.call('listBackups', { query: { at: backupPlace(cli, at) } })
        if (cli.json) cli.printJson(reply)
        else if (quiet === true) cli.print(reply.backups.map(({ id }) => `${printable(id)}\n`).join(''))
        else cli.print(table(columns, reply.backups))
        for (const { reason } of reply.broken) cli.notice(`broken: ${printable(reason)}`)
      }),
    )
}

const columns: readonly Column<BackupSummary>[] = [
  { title: 'ID', cell: ({ id }) => printable(id) },
  { title: 'OF', cell: ({ kind, name }) => `${kind} ${printable(name)}` },
  { title: 'SIZE', cell: ({ bytes }) => formatSize(bytes) },
  { title: 'DATA', cell: ({ data_bytes }) => formatSize(data_bytes) },
  { title: 'SENT', cell: ({ added_bytes }) => formatSize(added_bytes) },
  { title: 'HOST', cell: ({ host }) => printable(host) },
  { title: 'MADE', cell: ({ created_at }) => relativeTime(created_at) },
]
