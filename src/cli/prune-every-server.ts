import { Problem } from '../base/index.ts'
import type { ProgressEvent, PruneReport } from '../contract/index.ts'
import type { Cli } from './cli.ts'
import type { ApiClient } from './client/api-client.ts'
import { askAll, exitCodeOf, type FleetOptions } from './options/fleet-options.ts'
import { fleetError } from './output/fleet-errors.ts'
import { pruneOutcome, prunePlan } from './output/prune-report.ts'
import { type Prune, planOf, pruneQuery } from './run-prune.ts'
import { type Answered, askEveryServer } from './servers/ask-every-server.ts'
import { widthOf } from './terminal/table.ts'

/** A plan, and what became of it if it was done. */
interface Pruned {
  readonly plan: PruneReport
  readonly outcome?: PruneReport
}

/**
 * Prunes every server: each does what its own plan says, whatever the others do.
 *
 * @returns the exit code
 * @throws Problem CONFIRMATION_REQUIRED without --dry-run or --force: nobody reads the plans of many servers before saying yes to all of them
 */
export async function pruneEveryServer(cli: Cli, prune: Prune, fleet: FleetOptions): Promise<number> {
  if (prune.dryRun !== true && prune.force !== true) {
    throw new Problem('CONFIRMATION_REQUIRED', 'this removes data on every server', {
      hint: 'look first: --all --dry-run; then: --all --force',
    })
  }
  const answers = await cli.withProgress((onProgress) =>
    prune.dryRun === true
      ? askAll(cli, fleet, async (api, signal) => ({ plan: await planOf(api, prune, asWork(signal)) }))
      : askEveryServer<Pruned>(cli, { ask: (api, signal) => pruneOne({ api, prune, signal, onProgress }) }),
  )
  if (cli.json) cli.printJson({ servers: answers.map(jsonOf) })
  else cli.print(answers.map((answered) => blockOf(answered, widthOf(cli.terminal.stdout))).join('\n'))
  return exitCodeOf(answers, fleet)
}

/** Whoever makes the plan says all the while that it is still there. */
function asWork(signal: AbortSignal) {
  return { signal, onProgress: () => {} }
}

interface PruneOne {
  readonly api: ApiClient
  readonly prune: Prune
  readonly signal: AbortSignal
  readonly onProgress: (progress: ProgressEvent) => void
}

async function pruneOne({ api, prune, signal, onProgress }: PruneOne): Promise<Pruned> {
  const plan = await planOf(api, prune, asWork(signal))
  if (plan.items.length === 0) return { plan }
  const query = pruneQuery(prune, plan.plan_id)
  return { plan, outcome: await api.call('prune', { query, onProgress, signal }) }
}

function jsonOf({ answer, ...rest }: Answered<Pruned>) {
  return answer === undefined ? rest : { ...rest, prune: answer.outcome ?? answer.plan }
}

function blockOf(answered: Answered<Pruned>, width: number | undefined): string {
  const { server_name, answer } = answered
  if (answer === undefined) return fleetError(answered)
  const { plan, outcome } = answer
  const shown = prunePlan({ ...plan, server_name }, width)
  return outcome === undefined ? shown : `${shown}\n${pruneOutcome(outcome)}`
}
