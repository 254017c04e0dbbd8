import type { DataLayout, Digest } from '../../base/index.ts'
import { filesystemOf } from '../../host/index.ts'
import type { Images, RemovalPlan } from '../../images/index.ts'
import type { Accounting } from '../accounting/open-accounting.ts'
import { noBytes } from '../accounting/space.ts'
import type { Inventory } from '../inventory.ts'
import { cachedEntries } from './cached-entry.ts'
import type { LazyEntry } from './lazy-entry.ts'
import { measureEviction } from './measure-eviction.ts'
import { type CacheBudget, type EvictableEntry, type EvictionPlan, planEviction } from './plan-eviction.ts'

export interface PlanCacheEviction {
  readonly inventory: Inventory
  /** Without one all goes that may. */
  readonly budget?: CacheBudget | undefined
  readonly unusedForMs?: number | undefined
  readonly sparing?: readonly Digest[]
  /** Lowers that are partly here: they go for a budget alone, for what their registries have lost could not be fetched again. */
  readonly lazy?: readonly LazyEntry[]
  readonly images: Pick<Images, 'cache'>
  readonly layout: DataLayout
  readonly accounting: Accounting
  /** What goes before, with all that is made from it. */
  readonly removals?: readonly RemovalPlan[]
}

/** What would be evicted from the cache. @throws Problem RECORD_INVALID when it cannot be known who needs what */
export async function planCacheEviction(given: PlanCacheEviction): Promise<EvictionPlan> {
  const { inventory, images, layout, accounting, budget, unusedForMs, sparing = [], removals = [], lazy = [] } = given
  const gone = new Set(removals.flatMap(({ files }) => files.map(({ path }) => path)))
  const left = inventory.derived.filter(({ path }) => !gone.has(path))
  const hasBudget = Object.values(budget ?? {}).some((bytes) => bytes !== undefined)
  const cached = cachedEntries(left, await images.cache())
  const entries = hasBudget ? longestUnusedFirst([...cached, ...lazy]) : cached
  return await planEviction({
    entries,
    budget,
    freeBytes: (await filesystemOf(layout.root)).freeBytes,
    unusedForMs,
    sparing: new Set(sparing),
    now: inventory.takenAt.getTime(),
    figures: measureEviction({ inventory, layout, accounting, entries }),
  })
}

function longestUnusedFirst(entries: readonly EvictableEntry[]): EvictableEntry[] {
  return [...entries].sort((a, b) => a.lastUsedAt - b.lastUsedAt)
}

export const noEviction: EvictionPlan = { steps: [], kept: [], used: noBytes, shortBytes: 0 }
