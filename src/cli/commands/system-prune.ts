import { Problem, parseDuration } from '../../base/index.ts'
import type { PruneReport, PruneScope } from '../../contract/index.ts'
import type { Cli } from '../cli.ts'
import { confirm } from '../confirm.ts'
import type { DefineCommand } from '../define-command.ts'
import { wholeNumber } from '../options/whole-number.ts'
import { pruneOutcome, prunePlan } from '../output/prune-report.ts'

interface Options {
  readonly images?: boolean
  readonly instances?: boolean
  readonly orphans?: boolean
  readonly logs?: boolean
  readonly until?: string
  readonly logTailBytes?: number
  readonly dryRun?: boolean
  readonly force?: boolean
}

export const systemPrune: DefineCommand = (command, run) => {
  command
    .option('--images', 'images that no tag and no shed needs')
    .option('--instances', 'sheds that have been stopped for longer than --until')
    .option('--orphans', 'files that nothing owns any more')
    .option('--logs', 'consoles, cut to their last bytes; never without being asked for')
    .option('--until <duration>', 'only what has not changed for this long; 0s is any age (72h)', checkedDuration)
    .option(
      '--log-tail-bytes <n>',
      'how much of a console is kept (5242880)',
      wholeNumber('--log-tail-bytes', { min: 0 }),
    )
    .option('--dry-run', 'only show')
    .option('-f, --force', 'do not ask')
    .action(run((cli, options: Options) => (cli.json ? pruneForPrograms(cli, options) : pruneForPeople(cli, options))))
}

const scopes: readonly PruneScope[] = ['images', 'instances', 'orphans', 'logs']

async function pruneForPeople(cli: Cli, options: Options): Promise<number> {
  const plan = await ask(cli, options, { dry_run: 'true' })
  cli.print(prunePlan(plan))
  if (options.dryRun === true || plan.items.length === 0) return 0
  if (!(await confirm(cli, { question: 'Proceed?', force: options.force }))) return 1
  // What is removed is what was shown.
  const outcome = await ask(cli, options, { dry_run: 'false', plan_id: plan.plan_id })
  cli.print(`\n${pruneOutcome(outcome)}`)
  return 0
}

async function pruneForPrograms(cli: Cli, options: Options): Promise<number> {
  if (options.dryRun !== true && options.force !== true) {
    throw new Problem('CONFIRMATION_REQUIRED', 'this removes data, and --json asks no questions', {
      hint: 'look first: --json --dry-run; then: --json --force',
    })
  }
  cli.printJson(await ask(cli, options, { dry_run: options.dryRun === true ? 'true' : 'false' }))
  return 0
}

function ask(cli: Cli, options: Options, how: { dry_run: string; plan_id?: string }): Promise<PruneReport> {
  const { until, logTailBytes } = options
  const query = {
    ...how,
    scope: scopes.filter((scope) => options[scope] === true),
    ...(until === undefined ? {} : { until }),
    ...(logTailBytes === undefined ? {} : { log_tail_bytes: logTailBytes }),
  }
  return cli.withProgress((onProgress) => cli.api.call('prune', { query, onProgress }))
}

/** Passed on as it is written; the daemon shows it again. */
function checkedDuration(text: string): string {
  parseDuration(text)
  return text
}
