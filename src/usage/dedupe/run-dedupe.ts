import { type DataLayout, type OnProgress, Problem } from '../../base/index.ts'
import type { DedupeReport, DedupeRequest } from '../../contract/index.ts'
import { filesystemOf, openStaging, runInWorker } from '../../host/index.ts'
import type { Inventory } from '../inventory.ts'
import { usageOwners } from '../usage-owners.ts'
import { chooseFiles } from './choose-files.ts'
import type { DedupeJob, DedupeResult, DedupeStep } from './dedupe-job.ts'
import { reportDedupe } from './report-dedupe.ts'

export interface RunDedupe {
  readonly layout: DataLayout
  readonly serverName: string
  readonly inventory: Inventory
  readonly onProgress?: OnProgress | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Finds what disks have in common, and unless it is a dry run lets them have it only once.
 *
 * @throws Problem HOST_UNSUPPORTED where files cannot share, CANCELLED, NO_SPACE, PERMISSION_DENIED, IO_FAILED
 */
export async function runDedupe(request: DedupeRequest, run: RunDedupe): Promise<DedupeReport> {
  const { layout, inventory } = run
  await checkShares(layout.root)
  const owners = usageOwners(inventory, layout)
  const { files, skipped } = chooseFiles({ ...request, inventory, owners, layout })
  await using staging = await openStaging(layout, 'dedupe')
  const job: DedupeJob = {
    root: layout.root,
    files,
    hashes: layout.blockHashes,
    staging: staging.path,
    dryRun: request.dry_run,
    rate: request.rate_bytes,
  }
  const result = await runJob(job, run)
  return reportDedupe({ request, result, files, skipped, owners, serverName: run.serverName })
}

function runJob(job: DedupeJob, { onProgress, signal }: RunDedupe): Promise<DedupeResult> {
  return runInWorker<DedupeResult>({
    name: 'dedupe-worker',
    module: new URL('./dedupe-worker.ts', import.meta.url),
    input: job,
    onMessage: (message) => onProgress?.(message as DedupeStep),
    ...(signal === undefined ? {} : { signal }),
  })
}

async function checkShares(root: string): Promise<void> {
  const { type, reflink } = await filesystemOf(root)
  if (reflink) return
  throw new Problem(
    'HOST_UNSUPPORTED',
    `files on this filesystem (${type}) cannot share blocks, so what ${root} has twice stays there twice`,
    {
      hint: 'put the data directory on btrfs, or on xfs made with reflink=1: cowshed doctor says how; what guests have deleted comes back on any: cowshed system trim',
    },
  )
}
