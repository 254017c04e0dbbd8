import { formatSize } from '../../base/index.ts'
import type { DefineCommand } from '../define-command.ts'
import { backupPlace, placeHelp } from '../options/backup-place.ts'
import { volumeName } from '../options/volume-names.ts'

export const volumeRestore: DefineCommand = (command, run) => {
  command
    .argument('<backup>', 'its id, or the name of the volume: the newest backup of it')
    .argument('<new>', 'the name of the volume to make', volumeName)
    .requiredOption('--from <place>', placeHelp)
    .action(
      run(async (cli, backup: string, name: string, { from }: { readonly from: string }) => {
        const made = await cli.withProgress((onProgress) =>
          cli.api.call('restoreVolume', { body: { backup, name, from: backupPlace(cli, from) }, onProgress }),
        )
        if (cli.json) cli.printJson(made)
        else cli.print(`${name} restored (${formatSize(made.bytes)})\n`)
      }),
    )
}
