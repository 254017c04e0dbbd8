import { formatSize, isProblem, printable } from '../../base/index.ts'
import type { RemoveImageReply } from '../../contract/index.ts'
import type { Cli } from '../cli.ts'
import type { DefineCommand } from '../define-command.ts'
import { reportError } from '../report-error.ts'

interface Options {
  readonly force?: boolean
}

export const imageRm: DefineCommand = (command, run) => {
  command
    .argument('<images...>', 'their names or digests')
    .option('-f, --force', 'even the last name of an image that sheds were made from')
    .action(
      run(async (cli, refs: string[], { force }: Options) => {
        return removeEach(cli, refs, force === true)
      }),
    )
}

/** One after the other: what the first leaves decides what the next one frees. */
async function removeEach(cli: Cli, refs: readonly string[], force: boolean): Promise<number> {
  const removed: RemoveImageReply[] = []
  const failures: unknown[] = []
  for (const ref of refs) {
    try {
      removed.push(await cli.api.call('removeImage', { query: { ref, force: String(force) } }))
    } catch (error) {
      failures.push(error)
    }
  }
  if (cli.json) cli.printJson({ removed })
  else for (const reply of removed) cli.print(describe(reply))
  for (const failure of failures) reportError(cli, failure)
  const [first] = failures
  if (first === undefined) return 0
  return removed.length > 0 ? partial : isProblem(first) ? first.exitCode : 1
}

const partial = 6

function describe({ untagged, deleted, freed_physical_bytes }: RemoveImageReply): string {
  const lines = untagged.map((tag) => `untagged ${printable(tag)}\n`)
  if (deleted.length > 0) lines.push(`deleted ${deleted.length} blobs, ${formatSize(freed_physical_bytes)}\n`)
  return lines.join('')
}
