import type { PruneStep } from '../plan-prune.ts'

/**
 * Those steps of a measured plan, from the first on, that free so many bytes; all that free anything, when even those do not. A step that frees nothing is
 * taken only for the sake of one that is taken with it and frees what they share.
 */
export function chooseSteps(steps: readonly PruneStep[], wanted: number): PruneStep[] {
  const taken: PruneStep[] = []
  let freed = 0
  for (const step of steps) {
    if (freed >= wanted) break
    taken.push(step)
    freed += bytesOf(step)
  }
  return taken.filter((step, at) => bytesOf(step) > 0 || sharesWithLater(step, taken.slice(at + 1)))
}

function bytesOf({ item }: PruneStep): number {
  return item.marginal_bytes ?? 0
}

function sharesWithLater({ item }: PruneStep, later: readonly PruneStep[]): boolean {
  const names = new Set((item.shared_with ?? []).map(({ name }) => name))
  return later.some((step) => bytesOf(step) > 0 && names.has(step.item.name ?? step.item.path ?? ''))
}
