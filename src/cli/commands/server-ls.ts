import { isProblem, printable } from '../../base/index.ts'
import type { Cli } from '../cli.ts'
import type { DefineCommand } from '../define-command.ts'
import { type Column, table } from '../terminal/table.ts'

interface Options {
  readonly quiet?: boolean
}

interface Row {
  readonly name: string
  readonly url: string
  readonly trust: string
  readonly default: boolean
}

export const serverLs: DefineCommand = (command, run) => {
  command.option('-q, --quiet', 'names only').action(
    run(async (cli, { quiet }: Options) => {
      const servers = await rows(cli)
      if (cli.json) cli.printJson({ servers })
      else if (quiet === true) cli.print(servers.map(({ name }) => `${name}\n`).join(''))
      else cli.print(table(columns, servers))
    }),
  )
}

/** What is known of each, but for its token. */
async function rows(cli: Cli): Promise<Row[]> {
  const chosen = await cli.servers.default()
  return await Promise.all(
    (await cli.servers.names()).map(async (name) => ({
      name,
      ...(await placeOf(cli, name)),
      default: name === chosen,
    })),
  )
}

async function placeOf(cli: Cli, name: string): Promise<Pick<Row, 'url' | 'trust'>> {
  try {
    const { url, ca } = await cli.servers.get(name)
    return { url, trust: url.startsWith('http:') ? 'plain http' : ca === undefined ? 'system' : 'its own CA' }
  } catch (error) {
    if (!isProblem(error)) throw error
    return { url: '-', trust: `broken: ${error.message}` }
  }
}

const columns: readonly Column<Row>[] = [
  { title: 'NAME', cell: ({ name }) => name },
  { title: 'URL', cell: ({ url }) => printable(url) },
  { title: 'DEFAULT', cell: (row) => (row.default ? '*' : '') },
  { title: 'TRUST', cell: ({ trust }) => printable(trust) },
]
