import { Problem } from '../base/index.ts'
import type { PruneReport, PruneScope } from '../contract/index.ts'
import type { Cli } from './cli.ts'
import type { ApiClient, CallOptions } from './client/api-client.ts'
import { confirm } from './confirm.ts'
import { pruneOutcome, prunePlan } from './output/prune-report.ts'
import { widthOf } from './terminal/table.ts'

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
  const plan = await cli.withProgress((onProgress) => planOf(cli.api, prune, { onProgress }))
  cli.print(prunePlan(plan, widthOf(cli.terminal.stdout)))
  if (prune.dryRun === true || plan.items.length === 0) return 0
  if (!(await confirm(cli, { question: 'Proceed?', force: prune.force }))) return 1
  // What is removed is what was shown.
  const outcome = await carryOut(cli, prune, plan.plan_id)
  cli.print(`\n${pruneOutcome(outcome)}`)
  return 0
}

async function pruneForPrograms(cli: Cli, prune: Prune): Promise<number> {
  if (prune.dryRun !== true && prune.force !== true) {
    throw new Problem('CONFIRMATION_REQUIRED', 'this removes data, and --json asks no questions', {
      hint: 'look first: --json --dry-run; then: --json --force',
    })
  }
  cli.printJson(
    prune.dryRun === true
      ? await cli.withProgress((onProgress) => planOf(cli.api, prune, { onProgress }))
      : await carryOut(cli, prune),
  )
  return 0
}

function carryOut(cli: Cli, prune: Prune, planId?: string): Promise<PruneReport> {
  const query = pruneQuery(prune, planId)
  return cli.withProgress((onProgress) => cli.api.call('prune', { query, onProgress }))
}

/** By a request that cannot remove anything, so that who may only look gets an answer too. */
export function planOf(
  api: ApiClient,
  prune: Prune,
  work: Pick<CallOptions<'planPrune'>, 'onProgress' | 'signal'>,
): Promise<PruneReport> {
  return api.call('planPrune', { query: wantedOf(prune), ...work })
}

/** That it be done, as the API has it. */
export function pruneQuery(prune: Prune, planId: string | undefined) {
  return { ...wantedOf(prune), dry_run: 'false', ...(planId === undefined ? {} : { plan_id: planId }) }
}

function wantedOf({ scope, until, logTailBytes, maxUsed, keepFree }: Prune) {
  return {
    scope: [...scope],
    ...(until === undefined ? {} : { until }),
    ...(logTailBytes === undefined ? {} : { log_tail_bytes: logTailBytes }),
    ...(maxUsed === undefined ? {} : { max_used_bytes: maxUsed }),
    ...(keepFree === undefined ? {} : { keep_free_bytes: keepFree }),
  }
}
