import { formatSize } from '../../base/index.ts'
import type { DefineCommand } from '../define-command.ts'
import { volumeName } from '../options/volume-names.ts'

export const volumeClone: DefineCommand = (command, run) => {
  command
    .argument('<volume>', 'its name', volumeName)
    .argument('<new>', 'the name of the new one', volumeName)
    .action(
      run(async (cli, volume: string, name: string) => {
        const made = await cli.withProgress((onProgress) =>
          cli.api.call('cloneVolume', { params: { volume }, body: { name }, onProgress }),
        )
        if (cli.json) cli.printJson(made)
        else cli.print(`${name} created (${formatSize(made.bytes)}, a clone of ${volume})\n`)
      }),
    )
}
