import { formatSize, printable } from '../../base/index.ts'
import type { DefineCommand } from '../define-command.ts'
import { backupPlace, placeHelp } from '../options/backup-place.ts'

export const backupVerify: DefineCommand = (command, run) => {
  command
    .argument('[backup]', 'its id, or the name of a volume; every backup when left out')
    .requiredOption('--at <place>', placeHelp)
    .action(
      run(async (cli, backup: string | undefined, { at }: { readonly at: string }) => {
        const body = { at: backupPlace(cli, at), ...(backup === undefined ? {} : { backup }) }
        const reply = await cli.withProgress((onProgress) => cli.api.call('verifyBackups', { body, onProgress }))
        const { intact, damaged, bytes } = reply
        const lines = damaged.map(({ message }) => `damaged: ${printable(message)}\n`)
        if (cli.json) cli.printJson(reply)
        else
          cli.print(
            `${lines.join('')}${intact.length} ${intact.length === 1 ? 'backup' : 'backups'} intact, ${formatSize(bytes)} read\n`,
          )
        return damaged.length > 0 ? 1 : 0
      }),
    )
}
