import { setTimeout as sleep } from 'node:timers/promises'
import { Option } from 'commander'
import type { Cli } from '../cli.ts'
import type { DefineCommand } from '../define-command.ts'
import { sortUsage, type UsageOrder, usageOrders } from '../output/sort-usage.ts'
import { usageBar } from '../output/usage-bar.ts'
import { usageExplained } from '../output/usage-explained.ts'
import { usageDetails, usageRollup } from '../output/usage-report.ts'

interface Options {
  readonly verbose?: boolean
  readonly explain?: string
  readonly sort?: UsageOrder
  readonly watch?: boolean
}

export const systemDf: DefineCommand = (command, run) => {
  command
    .option('-v, --verbose', 'a row for each image, shed and file')
    .option('--explain <name>', 'who shares what with this image, shed or file')
    .addOption(new Option('--sort <order>', 'the order of rows').choices(usageOrders))
    .option('--watch', 'again every two seconds, until it is interrupted')
    .action(
      run(async (cli, options: Options) => {
        if (options.watch !== true) return await show(cli, options)
        // The terminal is cleared, so that what changes stands where it stood.
        for (const clear = cli.terminal.stdout.isTTY === true ? '\u001b[H\u001b[2J' : ''; ; ) {
          await show(cli, options, clear)
          await sleep(2000, undefined, { signal: cli.signal })
        }
      }),
    )
}

async function show(cli: Cli, { explain, verbose, sort }: Options, before = ''): Promise<void> {
  if (explain !== undefined) {
    const explained = await cli.api.call('explainUsage', { query: { name: explain } })
    return cli.json ? cli.printJson(explained) : cli.print(before + usageExplained(explained))
  }
  const report = await cli.api.call('getUsage', {})
  const sorted = sort === undefined ? report : sortUsage(report, sort)
  if (cli.json) return cli.printJson(sorted)
  const { isTTY, columns = 80 } = cli.terminal.stdout
  const bar = isTTY === true ? `\n${usageBar(sorted, Math.min(60, columns - 1))}` : ''
  cli.print(before + usageRollup(sorted) + bar + (verbose === true ? usageDetails(sorted) : ''))
}
