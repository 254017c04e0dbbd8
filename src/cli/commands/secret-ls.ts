import { printable } from '../../base/index.ts'
import type { Secret } from '../../contract/index.ts'
import type { DefineCommand } from '../define-command.ts'
import { relativeTime } from '../terminal/relative-time.ts'
import { type Column, table } from '../terminal/table.ts'

interface Options {
  readonly quiet?: boolean
}

export const secretLs: DefineCommand = (command, run) => {
  command.option('-q, --quiet', 'names only').action(
    run(async (cli, { quiet }: Options) => {
      const { secrets } = await cli.api.call('listSecrets', {})
      if (cli.json) cli.printJson({ secrets })
      else if (quiet === true) cli.print(secrets.map(({ name }) => `${printable(name)}\n`).join(''))
      else cli.print(table(columns, secrets))
    }),
  )
}

const columns: readonly Column<Secret>[] = [
  { title: 'NAME', cell: ({ name }) => printable(name) },
  { title: 'CHANGED', cell: ({ changed_at }) => relativeTime(changed_at) },
  {
    title: 'GIVEN TO',
    cell: ({ given_to }) => given_to.map(({ shed, env, path }) => printable(`${shed}:${path ?? env}`)).join('  '),
  },
]
