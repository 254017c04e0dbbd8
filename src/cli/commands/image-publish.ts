import { formatSize, printable } from '../../base/index.ts'
import type { PublishImageReply } from '../../contract/index.ts'
import type { DefineCommand } from '../define-command.ts'
import { byDigest } from '../output/by-digest.ts'

interface Options {
  readonly insecure?: boolean
}

export const imagePublish: DefineCommand = (command, run) => {
  command
    .argument('<image>', 'its name or digest')
    .argument('<destination>', 'what it will be called: registry.example/team/app:v1')
    .option('--insecure', 'http instead of https')
    .action(
      run(async (cli, ref: string, destination: string, { insecure }: Options) => {
        const body = { ref, destination, insecure: insecure === true }
        const reply = await cli.withProgress((onProgress) => cli.api.call('publishImage', { body, onProgress }))
        if (cli.json) return cli.printJson(reply)
        cli.print(`${byDigest(reply)}\n`)
        cli.notice(summary(reply))
      }),
    )
}

function summary({ destination, lower_bytes, rootfs_bytes, uploaded_bytes, blobs }: PublishImageReply): string {
  const sent = `${blobs.uploaded} blobs uploaded (${formatSize(uploaded_bytes)}), ${blobs.mounted + blobs.present} there already`
  const boots = `a host fetches ${formatSize(rootfs_bytes)} to boot from ${formatSize(lower_bytes)}`
  return `${printable(destination)}: ${sent}; ${boots}`
}
