import { printable } from '../../base/index.ts'
import type { ImportSnapshotReply } from '../../contract/index.ts'
import type { DefineCommand } from '../define-command.ts'
import { openUpload, stdinUpload } from '../options/open-upload.ts'
import { snapshotName } from '../options/snapshot-names.ts'

interface Options {
  readonly name?: string
}

export const snapshotImport: DefineCommand = (command, run) => {
  command
    .argument('<path>', 'what `snapshot export` wrote; - is stdin')
    .option('--name <snapshot>', 'what to call it, when not as it was called where it came from', snapshotName)
    .action(
      run(async (cli, path: string, { name }: Options) => {
        const source =
          path === '-'
            ? stdinUpload(cli, 'cowshed snapshot import - < FILE')
            : await openUpload(cli, path, { noun: 'a snapshot is one', hint: 'cowshed snapshot export NAME FILE' })
        const query = name === undefined ? {} : { name }
        const upload = { mediaType: 'application/zstd', source }
        const reply = await cli.withProgress((onProgress) =>
          cli.api.call('importSnapshot', { query, upload, onProgress }),
        )
        if (cli.json) return cli.printJson(reply)
        cli.print(`${printable(reply.snapshot.name)} ${reply.outcome}\n`)
        cli.notice(nextStep(reply))
      }),
    )
}

function nextStep({ snapshot: { name, lower_hint } }: ImportSnapshotReply): string {
  const create = `next: cowshed create SHED --from-snapshot ${printable(name)}`
  return lower_hint === undefined ? create : `its image is not here: ${printable(lower_hint)}\n${create}`
}
