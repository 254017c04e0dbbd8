import { formatSize, printable } from '../../base/index.ts'
import type { PruneBackupsReply } from '../../contract/index.ts'
import type { Cli } from '../cli.ts'
import { confirm } from '../confirm.ts'
import type { DefineCommand } from '../define-command.ts'
import { backupPlace, placeHelp } from '../options/backup-place.ts'
import { wholeNumber } from '../options/whole-number.ts'

interface Options {
  readonly at: string
  readonly keepLast?: number
  readonly keepDaily?: number
  readonly dryRun?: boolean
  readonly force?: boolean
}

export const backupPrune: DefineCommand = (command, run) => {
  command
    .requiredOption('--at <place>', placeHelp)
    .option(
      '--keep-last <n>',
      'so many of the newest of each volume and snapshot stay',
      wholeNumber('--keep-last', { min: 0 }),
    )
    .option(
      '--keep-daily <n>',
      'the newest of each of so many days that have any stays',
      wholeNumber('--keep-daily', { min: 0 }),
    )
    .option('--dry-run', 'only show')
    .option('-f, --force', 'do not ask')
    .action(
      run(async (cli, options: Options) => {
        const plan = await prune(cli, options, true)
        if (options.dryRun === true) return show(cli, plan, 'would be')
        const question = `${plan.removed.length} backups will be removed, and ${formatSize(plan.freed_bytes)} freed. Proceed?`
        if (!(await confirm(cli, { question, force: options.force }))) return 1
        return show(cli, await prune(cli, options, false), 'are')
      }),
    )
}

async function prune(cli: Cli, { at, keepLast, keepDaily }: Options, dryRun: boolean): Promise<PruneBackupsReply> {
  const body = { at: backupPlace(cli, at), keep_last: keepLast, keep_daily: keepDaily, dry_run: dryRun }
  return await cli.withProgress((onProgress) => cli.api.call('pruneBackups', { body, onProgress }))
}

function show(cli: Cli, reply: PruneBackupsReply, verb: string): number {
  if (cli.json) cli.printJson(reply)
  else {
    const lines = reply.removed.map(({ id, kind, name }) => `${printable(id)} ${kind} ${printable(name)}\n`)
    const sizes = `${formatSize(reply.freed_bytes)} ${verb} freed, ${formatSize(reply.kept_bytes)} stay`
    cli.print(`${lines.join('')}${reply.removed.length} backups ${verb} removed: ${sizes}\n`)
  }
  return 0
}
