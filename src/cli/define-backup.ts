import { formatSize } from '../base/index.ts'
import type { BackupSummary, ProgressEvent } from '../contract/index.ts'
import type { Cli } from './cli.ts'
import type { DefineCommand } from './define-command.ts'
import { backupPlace, placeHelp } from './options/backup-place.ts'

interface DefineBackup {
  /** What it is a backup of, and how its name is read. */
  readonly noun: string
  readonly parse: (text: string) => string
  readonly backUp: (
    cli: Cli,
    name: string,
    work: { readonly to: string; readonly onProgress: (progress: ProgressEvent) => void },
  ) => Promise<BackupSummary>
}

/** A command that backs something up. */
export function defineBackup({ noun, parse, backUp }: DefineBackup): DefineCommand {
  return (command, run) => {
    command
      .argument(`<${noun}>`, 'its name', parse)
      .requiredOption('--to <place>', placeHelp)
      .action(
        run(async (cli, name: string, { to }: { readonly to: string }) => {
          const made = await cli.withProgress((onProgress) =>
            backUp(cli, name, { to: backupPlace(cli, to), onProgress }),
          )
          const sizes = `${formatSize(made.data_bytes)}, ${formatSize(made.added_bytes)} sent`
          if (cli.json) cli.printJson(made)
          else cli.print(`${made.id} ${name} backed up (${sizes})\n`)
          cli.notice('without its key nobody can restore it: keep what `cowshed backup key show` prints somewhere else')
        }),
      )
  }
}
