import type { DefineCommand } from '../define-command.ts'
import { shedNames } from '../options/shed-names.ts'
import { trimReport } from '../output/trim-report.ts'

interface Options {
  readonly dryRun?: boolean
}

export const systemTrim: DefineCommand = (command, run) => {
  command
    .argument(
      '[sheds...]',
      'their names, with the volumes that they write to; every shed and volume when left out',
      shedNames,
    )
    .option('--dry-run', 'only show')
    .action(
      run(async (cli, names: string[] | undefined, { dryRun }: Options) => {
        const body = { names: names ?? [], dry_run: dryRun === true }
        const report = await cli.withProgress((onProgress) => cli.api.call('trim', { body, onProgress }))
        if (cli.json) cli.printJson(report)
        else cli.print(trimReport(report))
        // Those that were asked for by name were to be trimmed.
        return body.names.length === 0 || report.skipped.length === 0 ? 0 : report.items.length === 0 ? 1 : partial
      }),
    )
}

const partial = 6
