import { printable } from '../../base/index.ts'
import type { LoadImageReply } from '../../contract/index.ts'
import type { Cli } from '../cli.ts'
import type { DefineCommand } from '../define-command.ts'
import { absolutePath } from '../options/absolute-path.ts'
import { openUpload, stdinUpload } from '../options/open-upload.ts'
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

const noDirectory = {
  noun: 'an archive can be sent to another server, a directory not',
  hint: 'make one of it first: tar -C DIRECTORY -cf IMAGE.tar .',
}

async function fromPath(cli: Cli, path: string, tag: string | undefined): Promise<LoadImageReply> {
  // A server elsewhere cannot read it: it is sent.
  if ((await cli.connection()).server !== undefined)
    return await send(cli, await openUpload(cli, path, noDirectory), tag)
  const body = { path: absolutePath(cli, path), ...(tag === undefined ? {} : { tag }) }
  return await cli.withProgress((onProgress) => cli.api.call('loadImage', { query: {}, body, onProgress }))
}

async function fromStdin(cli: Cli, tag: string | undefined): Promise<LoadImageReply> {
  return await send(cli, stdinUpload(cli, 'cowshed image load - < IMAGE.tar'), tag)
}

function send(cli: Cli, source: AsyncIterable<Uint8Array>, tag: string | undefined): Promise<LoadImageReply> {
  return cli.withProgress((onProgress) =>
    cli.api.call('loadImage', {
      query: tag === undefined ? {} : { tag },
      upload: { mediaType: 'application/x-tar', source },
      onProgress,
    }),
  )
}

function nameOf({ images: [first] }: LoadImageReply): string {
  return first?.tags[0] ?? first?.digest ?? 'REF'
}
