import { formatSize, printable } from '../../base/index.ts'
import type { PushImageReply } from '../../contract/index.ts'
import type { DefineCommand } from '../define-command.ts'
import { byDigest } from '../output/by-digest.ts'

interface Options {
  readonly insecure?: boolean
}

export const imagePush: DefineCommand = (command, run) => {
  command
    .argument('<image>', 'its name or digest')
    .argument('[destination]', 'what it will be called in the registry (its own name)')
    .option('--insecure', 'http instead of https')
    .action(
      run(async (cli, ref: string, destination: string | undefined, { insecure }: Options) => {
        const body = { ref, insecure: insecure === true, ...(destination === undefined ? {} : { destination }) }
        const reply = await cli.withProgress((onProgress) => cli.api.call('pushImage', { body, onProgress }))
        if (cli.json) return cli.printJson(reply)
        cli.print(`${byDigest(reply)}\n`)
        cli.notice(summary(reply))
      }),
    )
}

function summary({ destination, uploaded, mounted, present }: PushImageReply): string {
  const parts = [
    `${uploaded.blobs} uploaded (${formatSize(uploaded.bytes)})`,
    ...(mounted.blobs === 0 ? [] : [`${mounted.blobs} taken over from another repository`]),
    ...(present.blobs === 0 ? [] : [`${present.blobs} there already`]),
  ]
  return `${printable(destination)}: ${parts.join(', ')}`
}
