import { setTimeout as sleep } from 'node:timers/promises'
import { Option } from 'commander'
import { Problem } from '../../base/index.ts'
import type { UsageReport } from '../../contract/index.ts'
import type { Cli } from '../cli.ts'
import type { DefineCommand } from '../define-command.ts'
import { addFleetOptions, askAll, checkFleetOptions, exitCodeOf, type FleetOptions } from '../options/fleet-options.ts'
import { checkedDuration } from '../options/prune-options.ts'
import { fleetError } from '../output/fleet-errors.ts'
import { sortUsage, type UsageOrder, usageOrders } from '../output/sort-usage.ts'
import { usageBar } from '../output/usage-bar.ts'
import { usageExplained } from '../output/usage-explained.ts'
import { usageGrowthReport } from '../output/usage-growth.ts'
import { usageDetails, usageRollup } from '../output/usage-report.ts'
import { widthOf } from '../terminal/table.ts'

interface Options extends FleetOptions {
  readonly verbose?: boolean
  readonly explain?: string
  readonly sort?: UsageOrder
  readonly watch?: boolean
  readonly since?: string
}

export const systemDf: DefineCommand = (command, run) => {
  command
    .option('-v, --verbose', 'a row for each image, shed and file')
    .option('--explain <name>', 'who shares what with this image, shed, snapshot, volume or file')
    .addOption(new Option('--sort <order>', 'the order of rows').choices(usageOrders))
    .option('--since <duration>', 'what is new, has grown, has shrunk or is gone in so long (7d)', checkedDuration)
    .option('--watch', 'again every two seconds, until it is interrupted')
  addFleetOptions(command).action(
    run(async (cli, options: Options) => {
      checkOptions(cli, options)
      if (options.watch !== true) return await show(cli, options)
      // The terminal is cleared, so that what changes stands where it stood.
      for (const clear = cli.terminal.stdout.isTTY === true ? '\u001b[H\u001b[2J' : ''; ; ) {
        await show(cli, options, clear)
        await sleep(2000, undefined, { signal: cli.signal })
      }
    }),
  )
}

function checkOptions(cli: Cli, options: Options): void {
  checkFleetOptions(cli, options)
  if (options.all === true && options.explain !== undefined) {
    throw new Problem('INVALID_REQUEST', '--explain is about one server', { hint: 'name it: -s SERVER' })
  }
}

async function show(cli: Cli, options: Options, before = ''): Promise<number> {
  if (options.all === true) return await (options.since === undefined ? showAll : showAllSince)(cli, options, before)
  await showOne(cli, options, before)
  return 0
}

/** Each server by itself, those that did not answer in their places. */
async function showAll(cli: Cli, options: Options, before: string): Promise<number> {
  const answers = await askAll(cli, options, (api, signal) => api.call('getUsage', { signal }))
  if (cli.json) {
    cli.printJson({ servers: answers.map(({ answer: usage, ...rest }) => ({ ...rest, ...(usage && { usage }) })) })
  } else {
    const blocks = answers.map((answered) => {
      const { server_name, answer } = answered
      return answer === undefined ? fleetError(answered) : usageText(cli, { ...answer, server_name }, options)
    })
    cli.print(before + blocks.join('\n'))
  }
  return exitCodeOf(answers, options)
}

/** How each server's disk has changed; one that has not been looked at for so long says so in its place. */
async function showAllSince(cli: Cli, options: Options, before: string): Promise<number> {
  const query = { since: options.since ?? '' }
  const answers = await askAll(cli, options, (api, signal) => api.call('usageGrowth', { query, signal }))
  if (cli.json) {
    cli.printJson({ servers: answers.map(({ answer: growth, ...rest }) => ({ ...rest, ...(growth && { growth }) })) })
  } else {
    const blocks = answers.map((answered) => {
      const { server_name, answer } = answered
      return answer === undefined ? fleetError(answered) : usageGrowthReport({ ...answer, server_name })
    })
    cli.print(before + blocks.join('\n'))
  }
  return exitCodeOf(answers, options)
}

async function showOne(cli: Cli, { explain, since, ...options }: Options, before: string): Promise<void> {
  if (since !== undefined) {
    const growth = await cli.api.call('usageGrowth', { query: { since } })
    return cli.json ? cli.printJson(growth) : cli.print(before + usageGrowthReport(growth))
  }
  if (explain !== undefined) {
    const explained = await cli.api.call('explainUsage', { query: { name: explain } })
    return cli.json ? cli.printJson(explained) : cli.print(before + usageExplained(explained))
  }
  const report = await cli.api.call('getUsage', {})
  if (cli.json) cli.printJson(sorted(report, options))
  else cli.print(before + usageText(cli, report, options))
}

function sorted(report: UsageReport, { sort }: Options): UsageReport {
  return sort === undefined ? report : sortUsage(report, sort)
}

function usageText(cli: Cli, report: UsageReport, options: Options): string {
  const shown = sorted(report, options)
  const width = widthOf(cli.terminal.stdout)
  const bar = width === undefined ? '' : `\n${usageBar(shown, Math.min(60, width - 1))}`
  return usageRollup(shown) + bar + (options.verbose === true ? usageDetails(shown, width) : '')
}
