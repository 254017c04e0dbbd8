import { Problem, printable } from '../../base/index.ts'
import type { Cli } from '../cli.ts'
import { copyIn } from '../copy/copy-in.ts'
import { copyOut } from '../copy/copy-out.ts'
import { parseEndpoint } from '../copy/parse-endpoint.ts'
import type { DefineCommand } from '../define-command.ts'
import { writeAll } from '../terminal/write-all.ts'

export const cp: DefineCommand = (command, run) => {
  command
    .argument('<src>', 'SHED:/path or a local path; of a directory with /. at its end, what is in it; - reads stdin')
    .argument('<dst>', 'SHED:/path or a local path; - writes a file to stdout')
    .option('-r, --recursive', 'directories are always copied with what is in them')
    .action(run(async (cli, src: string, dst: string) => copy(cli, src, dst)))
}

async function copy(cli: Cli, src: string, dst: string): Promise<number> {
  const from = parseEndpoint(src)
  const to = parseEndpoint(dst)
  if (from.shed !== undefined && dst === '-') return toStdout(cli, from.shed, from.path)
  if (src === '-' && to.shed !== undefined) return fromStdin(cli, to.shed, to.path)
  const skipped = await cli.withProgress(async (onProgress) => {
    if (from.shed !== undefined && to.shed === undefined) {
      return copyOut({ cli, shed: from.shed, from: from.path, to: to.path, onProgress })
    }
    if (from.shed === undefined && to.shed !== undefined) {
      return copyIn({ cli, shed: to.shed, from: from.path, to: to.path, onProgress })
    }
    throw new Problem('INVALID_REQUEST', 'one of the two must be in a shed, the other on this machine', {
      hint: 'cowshed cp FILE SHED:/path or cowshed cp SHED:/path FILE',
    })
  })
  for (const { path, why } of skipped) cli.notice(`skipped ${printable(path)}: ${why}`)
  return skipped.length === 0 ? 0 : partial
}

const partial = 6

async function fromStdin(cli: Cli, name: string, path: string): Promise<number> {
  await cli.api.call('writeGuestFile', {
    params: { name },
    query: { path },
    upload: { mediaType: 'application/octet-stream', source: cli.terminal.stdin },
  })
  return 0
}

async function toStdout(cli: Cli, name: string, path: string): Promise<number> {
  await writeAll(cli.terminal.stdout, await cli.api.download('readGuestFile', { params: { name }, query: { path } }))
  return 0
}
