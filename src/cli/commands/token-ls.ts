import { printable } from '../../base/index.ts'
import type { TokenSummary } from '../../contract/index.ts'
import type { DefineCommand } from '../define-command.ts'
import { relativeTime } from '../terminal/relative-time.ts'
import { type Column, table } from '../terminal/table.ts'

interface Options {
  readonly quiet?: boolean
}

export const tokenLs: DefineCommand = (command, run) => {
  command.option('-q, --quiet', 'names only').action(
    run(async (cli, { quiet }: Options) => {
      const { tokens } = await cli.api.call('listTokens', {})
      if (cli.json) cli.printJson({ tokens })
      else if (quiet === true) cli.print(tokens.map(({ name }) => `${printable(name)}\n`).join(''))
      else cli.print(table(columns, tokens))
    }),
  )
}

const columns: readonly Column<TokenSummary>[] = [
  { title: 'NAME', cell: ({ name }) => printable(name) },
  { title: 'ID', cell: ({ id }) => printable(id) },
  { title: 'MAY', cell: ({ read_only }) => (read_only ? 'look' : 'all') },
  { title: 'CREATED', cell: ({ created_at }) => relativeTime(created_at) },
  { title: 'LAST USED', cell: ({ last_used_at: at }) => (at === undefined ? 'never' : relativeTime(at)) },
]
