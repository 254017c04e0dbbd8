import type { DedupeItem, DedupeReport, DedupeRequest, PruneSkip } from '../../contract/index.ts'
import type { UsageOwners } from '../usage-owners.ts'
import type { DedupeFile, DedupeResult } from './dedupe-job.ts'

export interface ReportDedupe {
  readonly request: DedupeRequest
  readonly result: DedupeResult
  readonly files: readonly DedupeFile[]
  readonly skipped: readonly PruneSkip[]
  readonly owners: UsageOwners
  readonly serverName: string
}

export function reportDedupe({ request, result, files, skipped, owners, serverName }: ReportDedupe): DedupeReport {
  const { accuracy, predicted, done, reclaimedBytes, readBytes, knownBytes } = result
  const items = itemsOf(result, files, owners)
  return {
    dry_run: request.dry_run,
    server_name: serverName,
    accuracy,
    items,
    skipped: [...skipped],
    totals: {
      shared_bytes: done?.shared ?? items.reduce((sum, item) => sum + item.shared_bytes, 0),
      predicted_bytes: predicted.atLeast,
      ...(predicted.atMost === predicted.atLeast ? {} : { predicted_bytes_max: predicted.atMost }),
      ...(reclaimedBytes === undefined ? {} : { reclaimed_bytes: reclaimedBytes }),
      ...(done === undefined ? {} : { changed_bytes: done.differs, refused_bytes: done.refused }),
      read_bytes: readBytes,
      known_bytes: knownBytes,
    },
  }
}

/** Those with most first. A file of several things is named by the first of them. */
function itemsOf(
  { files: outcomes }: DedupeResult,
  files: readonly DedupeFile[],
  { things }: UsageOwners,
): DedupeItem[] {
  const owner = new Map<string, { readonly kind: string; readonly name: string }>()
  for (const { kind, name, files: own } of things) {
    for (const { path } of own) if (!owner.has(path)) owner.set(path, { kind, name })
  }
  return files
    .flatMap(({ path }, at) => {
      const { sharedBytes = 0, freedBytes = 0 } = outcomes[at] ?? {}
      if (sharedBytes === 0 && freedBytes === 0) return []
      const { kind, name } = owner.get(path) ?? { kind: 'file', name: path }
      return { kind, name, path, shared_bytes: sharedBytes, freed_bytes: freedBytes }
    })
    .sort((a, b) => b.freed_bytes - a.freed_bytes || b.shared_bytes - a.shared_bytes)
}
