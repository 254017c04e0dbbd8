import { confirm } from '../confirm.ts'
import type { DefineCommand } from '../define-command.ts'
import { forEachShed } from '../for-each-shed.ts'
import { backupPlace, placeHelp } from '../options/backup-place.ts'

interface Options {
  readonly at: string
  readonly force?: boolean
}

export const backupRm: DefineCommand = (command, run) => {
  command
    .argument('<backups...>', 'their ids')
    .requiredOption('--at <place>', placeHelp)
    .option('-f, --force', 'do not ask')
    .action(
      run(async (cli, ids: string[], { at, force }: Options) => {
        if (!(await confirm(cli, { question: `${ids.join(', ')} will be removed from ${at}. Proceed?`, force })))
          return 1
        return forEachShed(cli, {
          names: ids,
          work: (backup) => cli.api.call('removeBackup', { params: { backup }, query: { at: backupPlace(cli, at) } }),
          done: (id) => `${id} removed`,
        })
      }),
    )
}
