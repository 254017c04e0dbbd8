import { formatSize, printable } from '../../base/index.ts'
import type { Shed } from '../../contract/index.ts'
import type { Cli } from '../cli.ts'
import type { DefineCommand } from '../define-command.ts'
import { addFleetOptions, askAll, checkFleetOptions, exitCodeOf, type FleetOptions } from '../options/fleet-options.ts'
import { shareHere } from '../output/describe-lazy.ts'
import { fleetErrors } from '../output/fleet-errors.ts'
import { relativeTime } from '../terminal/relative-time.ts'
import { type Column, table } from '../terminal/table.ts'

interface Options extends FleetOptions {
  readonly quiet?: boolean
}

export const ls: DefineCommand = (command, run) => {
  command.option('-q, --quiet', 'names only').option('-a', 'every shed, which is what is listed anyway')
  addFleetOptions(command).action(
    run(async (cli, options: Options) => {
      checkFleetOptions(cli, options)
      if (options.all === true) return await listAll(cli, options)
      const { sheds } = await cli.api.call('listSheds', {})
      if (cli.json) cli.printJson({ sheds })
      else if (options.quiet === true) cli.print(sheds.map(({ name }) => `${printable(name)}\n`).join(''))
      else cli.print(table(columns, sheds))
      return 0
    }),
  )
}

interface Row extends Shed {
  readonly server: string
}

async function listAll(cli: Cli, options: Options): Promise<number> {
  const answers = await askAll(cli, options, async (api, signal) => (await api.call('listSheds', { signal })).sheds)
  const rows = answers.flatMap(({ server_name: server, answer = [] }) =>
    answer.map((shed): Row => ({ ...shed, server })),
  )
  if (cli.json) {
    cli.printJson({ servers: answers.map(({ answer: sheds, ...rest }) => ({ ...rest, ...(sheds && { sheds }) })) })
  } else {
    const names = rows.map(({ server, name }) => `${printable(server)}/${printable(name)}\n`).join('')
    cli.print(options.quiet === true ? names : table([serverColumn, ...columns], rows))
    cli.terminal.stderr.write(fleetErrors(answers))
  }
  return exitCodeOf(answers, options)
}

const serverColumn: Column<Row> = { title: 'SERVER', cell: ({ server }) => printable(server) }

const columns: readonly Column<Shed>[] = [
  { title: 'NAME', cell: ({ name }) => printable(name) },
  { title: 'STATUS', cell: ({ status, protected: kept }) => (kept === true ? `${status}, protected` : status) },
  { title: 'IMAGE', cell: imageOf },
  { title: 'CPUS', align: 'right', cell: ({ cpus }) => String(cpus) },
  { title: 'MEMORY', align: 'right', cell: ({ memory_bytes }) => formatSize(memory_bytes) },
  { title: 'CHANGED', cell: ({ changed_at }) => relativeTime(changed_at) },
  {
    title: 'FORWARDS',
    cell: ({ forwards }) => forwards.map(({ guest_port, host_port }) => `${host_port}→${guest_port}`).join(' '),
  },
]

function imageOf({ image, lazy }: Shed): string {
  const ref = printable(image.ref)
  return lazy?.progress === undefined ? ref : `${ref} (${shareHere(lazy.progress)})`
}
