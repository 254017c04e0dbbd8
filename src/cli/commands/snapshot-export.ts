import { formatSize, Problem, printable } from '../../base/index.ts'
import type { Cli } from '../cli.ts'
import type { DefineCommand } from '../define-command.ts'
import { absolutePath } from '../options/absolute-path.ts'
import { snapshotName } from '../options/snapshot-names.ts'
import { writeDownload } from '../output/write-download.ts'
import { writeAll } from '../terminal/write-all.ts'

interface Options {
  readonly withImage?: boolean
  readonly withSecrets?: boolean
}

export const snapshotExport: DefineCommand = (command, run) => {
  command
    .argument('<snapshot>', 'its name', snapshotName)
    .argument('<path>', 'the file to write, which must not exist; - is stdout')
    .option('--with-image', 'with the image that it lies over: the other host then needs no registry')
    .option('--with-secrets', 'also when secrets may be in its memory')
    .action(
      run(async (cli, snapshot: string, path: string, { withImage, withSecrets }: Options) => {
        const query = {
          ...(withImage === true ? { with_image: 'true' } : {}),
          ...(withSecrets === true ? { with_secrets: 'true' } : {}),
        }
        const download = () => cli.api.download('exportSnapshot', { params: { snapshot }, query })
        if (path === '-') await toStdout(cli, download)
        else await toFile(cli, absolutePath(cli, path), download)
      }),
    )
}

type Download = () => Promise<AsyncIterable<Buffer>>

async function toStdout({ terminal: { stdout } }: Cli, download: Download): Promise<void> {
  if (stdout.isTTY === true) {
    throw new Problem('INVALID_REQUEST', 'a snapshot is not for a terminal', {
      hint: 'cowshed snapshot export NAME FILE',
    })
  }
  await writeAll(stdout, await download())
}

async function toFile(cli: Cli, path: string, download: Download): Promise<void> {
  const bytes = await cli.withProgress(async (onProgress) =>
    writeDownload(path, await download(), (done) => onProgress({ phase: 'export', done })),
  )
  if (cli.json) cli.printJson({ path, bytes })
  else cli.print(`${printable(path)} (${formatSize(bytes)})\n`)
}
