import { formatSize, printable } from '../../base/index.ts'
import type { DefineCommand } from '../define-command.ts'
import { backupPlace, placeHelp } from '../options/backup-place.ts'
import { snapshotName } from '../options/snapshot-names.ts'

export const snapshotRestore: DefineCommand = (command, run) => {
  command
    .argument('<backup>', 'its id, or the name of the snapshot: the newest backup of it')
    .argument('<new>', 'the name of the snapshot to make', snapshotName)
    .requiredOption('--from <place>', placeHelp)
    .action(
      run(async (cli, backup: string, name: string, { from }: { readonly from: string }) => {
        const body = { backup, name, from: backupPlace(cli, from) }
        const made = await cli.withProgress((onProgress) => cli.api.call('restoreSnapshot', { body, onProgress }))
        if (cli.json) return cli.printJson(made)
        cli.print(`${name} restored (${formatSize(made.bytes)})\n`)
        if (made.lower_hint !== undefined) cli.notice(`its image is not here: ${printable(made.lower_hint)}`)
      }),
    )
}
