import type { DefineCommand } from '../define-command.ts'
import { rateAtLeast } from '../options/rate-at-least.ts'
import { shedNames } from '../options/shed-names.ts'
import { dedupeReport } from '../output/dedupe-report.ts'

interface Options {
  readonly dryRun?: boolean
  readonly running?: boolean
  readonly rate?: number
}

export const systemDedupe: DefineCommand = (command, run) => {
  command
    .argument(
      '[sheds...]',
      'only their disks change; every disk, and what is made from images, when left out',
      shedNames,
    )
    .option('--dry-run', 'only show')
    .option('--running', 'the disks of running sheds too')
    .option('--rate <size>', 'read no more than this in a second', rateAtLeast('--rate', 2 ** 20))
    .action(
      run(async (cli, names: string[] | undefined, { dryRun, running, rate }: Options) => {
        const body = {
          names: names ?? [],
          dry_run: dryRun === true,
          running: running === true,
          ...(rate === undefined ? {} : { rate_bytes: rate }),
        }
        const report = await cli.withProgress((onProgress) => cli.api.call('dedupe', { body, onProgress }))
        if (cli.json) cli.printJson(report)
        else cli.print(dedupeReport(report))
      }),
    )
}

/** As in `50MB/s`. */
