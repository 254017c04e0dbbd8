import { formatSize } from '../../base/index.ts'
import { smallestVolumeBytes } from '../../contract/index.ts'
import type { DefineCommand } from '../define-command.ts'
import { sizeAtLeast } from '../options/size-at-least.ts'
import { volumeName } from '../options/volume-names.ts'

export const volumeCreate: DefineCommand = (command, run) => {
  command
    .argument('<name>', 'its name: 1 to 63 of a-z, 0-9 and -', volumeName)
    .requiredOption(
      '--size <size>',
      'how large it is; what is not written takes no space',
      sizeAtLeast('--size', smallestVolumeBytes),
    )
    .action(
      run(async (cli, name: string, { size }: { readonly size: number }) => {
        const reply = await cli.api.call('createVolume', { body: { name, bytes: size } })
        if (cli.json) return cli.printJson(reply)
        cli.print(`${name} ${reply.outcome} (${formatSize(reply.volume.bytes)})\n`)
        if (reply.outcome === 'created') {
          cli.notice(`next: cowshed create SHED --image IMAGE --volume ${name}:/data`)
        }
      }),
    )
}
