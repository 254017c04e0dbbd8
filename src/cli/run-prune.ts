import { Problem } from '../base/index.ts'
import type { PruneReport, PruneScope } from '../contract/index.ts'
import type { Cli } from './cli.ts'
import { confirm } from './confirm.ts'
import { pruneOutcome, prunePlan } from './output/prune-report.ts'

export interface Prune {
  readonly scope: readonly PruneScope[]
  readonly until?: string | undefined
  readonly logTailBytes?: number | undefined
  readonly maxUsed?: number | undefined
  readonly keepFree?: number | undefined
  readonly dryRun?: boolean | undefined
  readonly force?: boolean | undefined
}

/**
 * Shows what a prune would do, asks, and does what was shown.
 *
 * @returns the exit code
 * @throws Problem CONFIRMATION_REQUIRED when nobody can be asked
 */
export async function runPrune(cli: Cli, prune: Prune): Promise<number> {
  return await (cli.json ? pruneForPrograms(cli, prune) : pruneForPeople(cli, prune))
}

async function pruneForPeople(cli: Cli, prune: Prune): Promise<number> {
  const plan = await ask(cli, prune, { dry_run: 'true' })
  cli.print(prunePlan(plan))
  if (prune.dryRun === true || plan.items.length === 0) return 0
  if (!(await confirm(cli, { question: 'Proceed?', force: prune.force }))) return 1
  // What is removed is what was shown.
  const outcome = await ask(cli, prune, { dry_run: 'false', plan_id: plan.plan_id })
  cli.print(`\n${pruneOutcome(outcome)}`)
  return 0
}

async function pruneForPrograms(cli: Cli, prune: Prune): Promise<number> {
  if (prune.dryRun !== true && prune.force !== true) {
    throw new Problem('CONFIRMATION_REQUIRED', 'this removes data, and --json asks no questions', {
      hint: 'look first: --json --dry-run; then: --json --force',
    })
  }
  cli.printJson(await ask(cli, prune, { dry_run: prune.dryRun === true ? 'true' : 'false' }))
  return 0
}

function ask(cli: Cli, prune: Prune, how: { dry_run: string; plan_id?: string }): Promise<PruneReport> {
  const { scope, until, logTailBytes, maxUsed, keepFree } = prune
  const query = {
    ...how,
    scope: [...scope],
    ...(until === undefined ? {} : { until }),
    ...(logTailBytes === undefined ? {} : { log_tail_bytes: logTailBytes }),
    ...(maxUsed === undefined ? {} : { max_used_bytes: maxUsed }),
    ...(keepFree === undefined ? {} : { keep_free_bytes: keepFree }),
  }
  return cli.withProgress((onProgress) => cli.api.call('prune', { query, onProgress }))
}
