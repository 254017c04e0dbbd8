import { rm } from 'node:fs/promises'
import { type DataLayout, isProblem, Problem, problemFromSystem } from '../base/index.ts'
import type { PruneItem, PruneSkip } from '../contract/index.ts'
import type { EvictEntry, Images } from '../images/index.ts'
import { removeLazyLower } from '../lazy/index.ts'
import type { Sheds } from '../sheds/index.ts'
import type { Accounting } from './accounting/open-accounting.ts'
import type { Inventory, Orphan } from './inventory.ts'
import type { PrunePlan, PruneStep } from './plan-prune.ts'
import { truncateLog } from './truncate-log.ts'

export interface PruneHands {
  readonly layout: DataLayout
  readonly images: Images
  readonly sheds: Sheds
  readonly accounting: Pick<Accounting, 'usedBytes' | 'releaseReservations'>
  /** What is on disk now: an orphan that somebody has taken up since the plan was made is no orphan. */
  takeInventory(): Promise<Inventory>
}

export interface PruneOutcome {
  readonly done: readonly PruneItem[]
  readonly skipped: readonly PruneSkip[]
  /** By how much less of the filesystem is used. Other writers of the same filesystem are in it. */
  readonly reclaimedBytes: number
}

/** Carries out a plan, step by step, each looked at again under its lock. A step that no longer holds is skipped with its reason. */
export async function executePrune(plan: PrunePlan, hands: PruneHands): Promise<PruneOutcome> {
  const done: PruneItem[] = []
  const skipped: PruneSkip[] = [...plan.skipped]
  const { root } = hands.layout
  const before = await hands.accounting.usedBytes(root)
  let orphans: OrphanRemoval | undefined
  let evicted: CheckEvicted | undefined
  for (const step of plan.steps) {
    try {
      if (step.kind === 'orphan') {
        // When the first one's turn comes: sheds and images are gone by then.
        orphans ??= await removeOrphans(plan.steps.flatMap(orphanOf), hands)
        orphans.check(step.file)
      } else if (step.kind === 'cache') {
        evicted ??= await evictAll(plan.steps.flatMap(cacheEntryOf), hands)
        evicted(step.entry)
      } else await executeStep(step, hands)
      done.push(step.item)
    } catch (error) {
      if (!isProblem(error)) throw error
      const { kind, name, path } = step.item
      skipped.push({ kind, ...(name && { name }), ...(path && { path }), reason: error.message })
    }
  }
  const after = done.length === 0 ? before : await hands.accounting.usedBytes(root)
  return { done, skipped, reclaimedBytes: Math.max(0, before - after) }
}

async function executeStep(step: Exclude<PruneStep, { kind: 'orphan' | 'cache' }>, hands: PruneHands): Promise<void> {
  switch (step.kind) {
    case 'reservation':
      return await hands.accounting.releaseReservations(hands.layout.root)
    case 'instance':
      return await hands.sheds.remove(step.shed.name, { force: false }, { ifUnchangedSince: step.shed.changed_at })
    case 'image':
      await hands.images.remove(step.digest, { force: false, ifTagged: step.tags })
      return
    case 'layers':
      await hands.images.dropLayers(step.drop)
      return
    case 'lazy':
      if (await removeLazyLower(hands.layout, step.chunkIndex)) return
      throw new Problem('PLAN_CHANGED', 'it is being served')
    case 'log':
      return await truncateLog(step.path, {
        keepBytes: step.keepBytes,
        whileAtRest: (work) => hands.sheds.whileConsoleRests(step.shed.name, work),
      })
  }
}

function orphanOf(step: PruneStep): Orphan[] {
  return step.kind === 'orphan' ? [step.file] : []
}

function cacheEntryOf(step: PruneStep): EvictEntry[] {
  return step.kind === 'cache' ? [step.entry] : []
}

/** Throws the Problem that says why an entry was not evicted. */
type CheckEvicted = (entry: EvictEntry) => void

/** Together, so that who needs them is looked at once. */
async function evictAll(entries: readonly EvictEntry[], { images }: PruneHands): Promise<CheckEvicted> {
  const outcomes = await images.evict(entries).catch((error: unknown) => {
    if (!isProblem(error)) throw error
    return error
  })
  return (entry) => {
    if (isProblem(outcomes)) throw outcomes
    const keptBy = outcomes.find((outcome) => outcome.entry === entry)?.keptBy
    if (keptBy !== undefined) throw new Problem('PLAN_CHANGED', keptBy)
  }
}

/** What became of each of some orphans. */
interface OrphanRemoval {
  /** @throws Problem that says why it was not removed */
  check(file: Orphan): void
}

/** Removes those that are orphans still. What an image or a shed could refer to goes only when `images` finds that nothing does. */
async function removeOrphans(files: readonly Orphan[], { images, takeInventory }: PruneHands): Promise<OrphanRemoval> {
  const now = new Map((await takeInventory()).orphans.map((file) => [file.path, file.modifiedAt]))
  const still = files.filter(({ path, modifiedAt }) => now.get(path) === modifiedAt)
  const problems = new Map<string, Problem>()
  const contents = still.flatMap(({ path, holds }) => (holds === undefined ? [] : [{ path, ...holds }]))
  const removed = await images.removeUnneeded(contents).catch((error: unknown) => {
    if (!isProblem(error)) throw error
    for (const { path } of contents) problems.set(path, error)
    return new Set<string>()
  })
  const gone = new Set(removed)
  for (const { path, holds, partialOf } of still) {
    if (holds !== undefined) continue
    try {
      if (partialOf === undefined) await rm(path, { force: true })
      else if (!images.dropDownload(partialOf)) continue
      gone.add(path)
    } catch (error) {
      problems.set(path, problemFromSystem(error, `remove ${path}`))
    }
  }
  return {
    check({ path }) {
      if (!gone.has(path)) throw problems.get(path) ?? new Problem('PLAN_CHANGED', 'it is no orphan any more')
    },
  }
}
