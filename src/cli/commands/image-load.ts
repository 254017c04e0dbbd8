import { Problem, printable } from '../../base/index.ts'
import type { LoadImageReply } from '../../contract/index.ts'
import type { Cli } from '../cli.ts'
import type { DefineCommand } from '../define-command.ts'
import { absolutePath } from '../options/absolute-path.ts'
import { imageTable } from '../output/image-table.ts'

interface Options {
  readonly tag?: string
}

export const imageLoad: DefineCommand = (command, run) => {
  command
    .argument('<path>', 'an archive (compressed or not), an OCI layout directory, or - for an archive on stdin')
    .option('--tag <ref>', 'a name for it, when it has none or another')
    .action(
      run(async (cli, path: string, { tag }: Options) => {
        const reply = await (path === '-' ? fromStdin(cli, tag) : fromPath(cli, path, tag))
        if (cli.json) cli.printJson(reply)
        else if (reply.images.length === 0) cli.notice('there was no image in it')
        else cli.print(imageTable(reply.images))
        if (!cli.json && reply.images.length > 0)
          cli.notice(`next: cowshed create NAME --image ${printable(tag ?? nameOf(reply))}`)
      }),
    )
}

function fromPath(cli: Cli, path: string, tag: string | undefined): Promise<LoadImageReply> {
  const body = { path: absolutePath(cli, path), ...(tag === undefined ? {} : { tag }) }
  return cli.withProgress((onProgress) => cli.api.call('loadImage', { query: {}, body, onProgress }))
}

function fromStdin(cli: Cli, tag: string | undefined): Promise<LoadImageReply> {
  const { stdin } = cli.terminal
  if (stdin.isTTY === true) {
    throw new Problem('INVALID_REQUEST', 'stdin is a terminal', { hint: 'cowshed image load - < IMAGE.tar' })
  }
  return cli.withProgress((onProgress) =>
    cli.api.call('loadImage', {
      query: tag === undefined ? {} : { tag },
      upload: { mediaType: 'application/x-tar', source: stdin },
      onProgress,
    }),
  )
}

function nameOf({ images: [first] }: LoadImageReply): string {
  return first?.tags[0] ?? first?.digest ?? 'REF'
}
