import { Option } from 'commander'
import { formatSize, type LowerProfile, lowerProfiles, printable } from '../../base/index.ts'
import type { PublishImageReply } from '../../contract/index.ts'
import type { DefineCommand } from '../define-command.ts'
import { absolutePath } from '../options/absolute-path.ts'
import { traceFiles } from '../options/trace-files.ts'
import { byDigest } from '../output/by-digest.ts'

interface Options {
  readonly platform?: string
  readonly profile?: LowerProfile
  readonly trace?: readonly string[]
  readonly insecure?: boolean
}

export const imagePublish: DefineCommand = (command, run) => {
  command
    .argument('<image>', 'its name or digest')
    .argument('<destination>', 'what it will be called: registry.example/team/app:v1')
    .option(
      '--platform <platform>',
      'os/arch[/variant], when it is not to be that of this host; what is there of others stays',
    )
    .addOption(
      new Option(
        '--profile <profile>',
        "of what hosts boot from: as the server's host would build it unless told",
      ).choices(lowerProfiles),
    )
    .addOption(traceFiles())
    .option('--insecure', 'http instead of https')
    .action(
      run(async (cli, ref: string, destination: string, { platform, profile, trace = [], insecure }: Options) => {
        const body = {
          ...{ ref, destination, insecure: insecure === true },
          traces: trace.map((path) => absolutePath(cli, path)),
          ...(platform && { platform }),
          ...(profile && { profile }),
        }
        const reply = await cli.withProgress((onProgress) => cli.api.call('publishImage', { body, onProgress }))
        if (cli.json) return cli.printJson(reply)
        cli.print(`${byDigest(reply)}\n`)
        cli.notice(summary(reply))
      }),
    )
}

function summary(reply: PublishImageReply): string {
  const { destination, platform, profile, other_platforms, lower_bytes, rootfs_bytes, traces, uploaded_bytes, blobs } =
    reply
  const sent = `${blobs.uploaded} blobs uploaded (${formatSize(uploaded_bytes)}), ${blobs.mounted + blobs.present} there already`
  const boots = `a host fetches ${formatSize(rootfs_bytes)} to boot from ${formatSize(lower_bytes)}`
  const others = other_platforms.length === 0 ? '' : `; as before for ${other_platforms.map(printable).join(', ')}`
  const ahead = traces.length === 0 ? '' : `, ahead of its reads by the boot traces ${traces.map(printable).join(', ')}`
  return `${printable(destination)} for ${printable(platform)} (${profile}): ${sent}; ${boots}${ahead}${others}`
}
