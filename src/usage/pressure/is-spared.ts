import type { Digest } from '../../base/index.ts'
import type { Inventory } from '../inventory.ts'
import type { PruneStep } from '../plan-prune.ts'

export interface Spare {
  readonly inventory: Inventory
  /** Nothing of these goes: what is under way needs them. */
  readonly manifests: readonly Digest[]
  /** No image that came, or was used, in so many milliseconds. */
  readonly untilMs: number
}

/** Whether a prune that nobody asked for leaves a step out that one may ask for. */
export function isSpared(step: PruneStep, { inventory, manifests, untilMs }: Spare): boolean {
  if (step.kind !== 'image' && step.kind !== 'cache' && step.kind !== 'layers') return false
  const spared = new Set(manifests)
  const needed = inventory.images.filter(({ entry }) => entry.manifests.some(({ digest }) => spared.has(digest)))
  if (step.kind === 'image' || step.kind === 'layers') {
    const digest = step.kind === 'image' ? step.digest : step.drop.digest
    return needed.some(({ entry }) => entry.digest === digest) || isRecent(step.paths, inventory, untilMs)
  }
  const { digest } = step.entry
  return spared.has(digest) || needed.some(({ entry }) => entry.manifests.some((one) => one.diffIds.includes(digest)))
}

/** A blob is as old as its pull, and what is made from it as old as its last use. */
function isRecent(paths: readonly string[], { images, derived, takenAt }: Inventory, untilMs: number): boolean {
  const going = new Set(paths)
  const files = [...images.flatMap((image) => image.files), ...derived].filter(({ path }) => going.has(path))
  return files.some(({ modifiedAt }) => takenAt.getTime() - modifiedAt < untilMs)
}
