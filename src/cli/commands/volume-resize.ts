import { formatSize } from '../../base/index.ts'
import { smallestVolumeBytes } from '../../contract/index.ts'
import type { DefineCommand } from '../define-command.ts'
import { sizeAtLeast } from '../options/size-at-least.ts'
import { volumeName } from '../options/volume-names.ts'

export const volumeResize: DefineCommand = (command, run) => {
  command
    .argument('<volume>', 'its name', volumeName)
    .argument('<size>', 'how large it is to be: at least what it is', sizeAtLeast('the size', smallestVolumeBytes))
    .action(
      run(async (cli, volume: string, bytes: number) => {
        const reply = await cli.api.call('resizeVolume', { params: { volume }, body: { bytes } })
        if (cli.json) return cli.printJson(reply)
        cli.print(`${volume} has ${formatSize(reply.volume.bytes)}\n`)
        if (reply.grown_by === 'next mount') {
          cli.notice('its filesystem becomes as large when a shed that writes to it starts')
        }
      }),
    )
}
