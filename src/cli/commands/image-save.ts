import { formatSize, Problem, printable } from '../../base/index.ts'
import type { Cli } from '../cli.ts'
import type { DefineCommand } from '../define-command.ts'
import { absolutePath } from '../options/absolute-path.ts'
import { writeDownload } from '../output/write-download.ts'
import { writeAll } from '../terminal/write-all.ts'

interface Options {
  readonly output: string
}

export const imageSave: DefineCommand = (command, run) => {
  command
    .argument('<images...>', 'their names or digests')
    .requiredOption('-o, --output <path>', 'the archive to write, which must not exist; - is stdout')
    .action(
      run(async (cli, refs: string[], { output }: Options) => {
        if (output === '-') return toStdout(cli, refs)
        const path = absolutePath(cli, output)
        if ((await cli.connection()).server !== undefined) return await toFile(cli, refs, path)
        const body = { refs, path }
        const reply = await cli.withProgress((onProgress) => cli.api.call('saveImage', { body, onProgress }))
        if (cli.json) cli.printJson(reply)
        else cli.print(`${printable(reply.path)} (${formatSize(reply.bytes)})\n`)
      }),
    )
}

async function toStdout(cli: Cli, refs: string[]): Promise<void> {
  const { stdout } = cli.terminal
  if (stdout.isTTY === true) {
    throw new Problem('INVALID_REQUEST', 'an archive is not for a terminal', { hint: 'cowshed image save REF -o FILE' })
  }
  await writeAll(stdout, await cli.api.download('downloadImage', { query: { ref: refs } }))
}

/** From a server elsewhere, onto this host. */
async function toFile(cli: Cli, refs: string[], path: string): Promise<void> {
  const archive = await cli.api.download('downloadImage', { query: { ref: refs } })
  const bytes = await writeDownload(path, archive)
  if (cli.json) cli.printJson({ path, bytes })
  else cli.print(`${printable(path)} (${formatSize(bytes)})\n`)
}
