import { formatSize, printable, shortDigest } from '../../base/index.ts'
import type { ImageHistoryReply, ImageHistoryStep } from '../../contract/index.ts'
import type { DefineCommand } from '../define-command.ts'
import { truncate } from '../terminal/display-width.ts'
import { relativeTime } from '../terminal/relative-time.ts'
import { table } from '../terminal/table.ts'

interface Options {
  readonly quiet?: boolean
  readonly trunc: boolean
}

export const imageHistory: DefineCommand = (command, run) => {
  command
    .argument('<image>', 'its name or digest')
    .option('--no-trunc', 'whole commands, comments and digests')
    .option('-q, --quiet', 'digests of the layers only')
    .action(
      run(async (cli, ref: string, { quiet, trunc }: Options) => {
        const reply = await cli.api.call('imageHistory', { query: { ref } })
        if (cli.json) return cli.printJson(reply)
        cli.print(quiet === true ? digests(reply) : historyTable(reply, { trunc }))
        if (reply.problem !== undefined) cli.notice(`note: ${printable(reply.problem)}`)
      }),
    )
}

function digests({ history }: ImageHistoryReply): string {
  return history.map(({ digest }) => (digest === undefined ? '' : `${digest}\n`)).join('')
}

/** Columns of a command or comment that are shown, as in `docker history`. */
const shownColumns = 45

/** The columns of `docker history`, and which layer of the manifest each step made. */
export function historyTable({ history }: ImageHistoryReply, { trunc }: { readonly trunc: boolean }): string {
  const shown = (text: string | undefined) => (trunc ? truncate(oneLine(text), shownColumns) : oneLine(text))
  return table<ImageHistoryStep>(
    [
      { title: 'LAYER', align: 'right', cell: ({ layer }) => (layer === undefined ? '-' : String(layer)) },
      { title: 'DIGEST', cell: ({ digest }) => (digest === undefined ? '-' : trunc ? shortDigest(digest) : digest) },
      { title: 'CREATED', cell: ({ created_at }) => (created_at === undefined ? '-' : relativeTime(created_at)) },
      { title: 'CREATED BY', cell: ({ created_by }) => shown(created_by) },
      { title: 'SIZE', align: 'right', cell: ({ size_bytes }) => formatSize(size_bytes) },
      { title: 'COMMENT', cell: ({ comment }) => shown(comment) },
    ],
    history,
  )
}

/** Commands are full of tabs and line breaks, which are better blanks than escapes. */
function oneLine(text = ''): string {
  return printable(text.replace(/[\t\r\n]+/g, ' ')).trim()
}
