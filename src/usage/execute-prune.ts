import { rm } from 'node:fs/promises'
import { type DataLayout, isProblem, Problem, parseDigest, problemFromSystem } from '../base/index.ts'
import type { PruneItem, PruneSkip } from '../contract/index.ts'
import { filesystemOf } from '../host/index.ts'
import type { Images } from '../images/index.ts'
import type { Sheds } from '../sheds/index.ts'
import type { Inventory, Orphan } from './inventory.ts'
import type { PrunePlan, PruneStep } from './plan-prune.ts'
import { truncateLog } from './truncate-log.ts'

export interface PruneHands {
  readonly layout: DataLayout
  readonly images: Images
  readonly sheds: Sheds
  /** What is on disk now: an orphan that somebody has taken up since the plan was made is no orphan. */
  takeInventory(): Promise<Inventory>
}

export interface PruneOutcome {
  readonly done: readonly PruneItem[]
  readonly skipped: readonly PruneSkip[]
  /** By how much the filesystem's free space grew. Other writers of the same filesystem are in it. */
  readonly reclaimedBytes: number
}

/** Carries out a plan, step by step, each looked at again under its lock. A step that no longer holds is skipped with its reason. */
export async function executePrune(plan: PrunePlan, hands: PruneHands): Promise<PruneOutcome> {
  const done: PruneItem[] = []
  const skipped: PruneSkip[] = [...plan.skipped]
  const before = await filesystemOf(hands.layout.root)
  // Taken when the first orphan's turn comes: sheds and images are gone by then.
  let inventory: Inventory | undefined
  for (const step of plan.steps) {
    try {
      if (step.kind === 'orphan') {
        inventory ??= await hands.takeInventory()
        await removeOrphan(step.file, inventory)
      } else await executeStep(step, hands)
      done.push(step.item)
    } catch (error) {
      if (!isProblem(error)) throw error
      skipped.push({ kind: step.kind, name: step.item.name, path: step.item.path, reason: error.message } as PruneSkip)
    }
  }
  const after = await filesystemOf(hands.layout.root)
  return { done, skipped, reclaimedBytes: Math.max(0, after.freeBytes - before.freeBytes) }
}

async function executeStep(step: Exclude<PruneStep, { kind: 'orphan' }>, hands: PruneHands): Promise<void> {
  switch (step.kind) {
    case 'instance':
      return await hands.sheds.remove(step.shed.name, { force: false }, { ifUnchangedSince: step.shed.changed_at })
    case 'image':
      await hands.images.remove(parseDigest(step.digest), { force: false })
      return
    case 'log':
      return await truncateLog(step.path, step.keepBytes)
  }
}

async function removeOrphan({ path, modifiedAt }: Orphan, now: Inventory): Promise<void> {
  const still = now.orphans.some((file) => file.path === path && file.modifiedAt === modifiedAt)
  if (!still) throw new Problem('PLAN_CHANGED', 'it is no orphan any more')
  try {
    await rm(path, { force: true })
  } catch (error) {
    throw problemFromSystem(error, `remove ${path}`)
  }
}
