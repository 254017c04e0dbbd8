import type { DataLayout, Digest } from '../../base/index.ts'
import { filesystemOf } from '../../host/index.ts'
import type { Images, RemovalPlan } from '../../images/index.ts'
import type { Accounting } from '../accounting/open-accounting.ts'
import { noBytes } from '../accounting/space.ts'
import type { Inventory } from '../inventory.ts'
import { cachedEntries } from './cached-entry.ts'
import { measureEviction } from './measure-eviction.ts'
import { type CacheBudget, type EvictionPlan, planEviction } from './plan-eviction.ts'

export interface PlanCacheEviction {
  readonly inventory: Inventory
  /** Without one all goes that may. */
  readonly budget?: CacheBudget | undefined
  readonly unusedForMs?: number | undefined
  readonly sparing?: readonly Digest[]
  readonly images: Pick<Images, 'cache'>
  readonly layout: DataLayout
  readonly accounting: Accounting
  /** What goes before, with all that is made from it. */
  readonly removals?: readonly RemovalPlan[]
}

/** What would be evicted from the cache. @throws Problem RECORD_INVALID when it cannot be known who needs what */
export async function planCacheEviction(given: PlanCacheEviction): Promise<EvictionPlan> {
  const { inventory, images, layout, accounting, budget, unusedForMs, sparing = [], removals = [] } = given
  const gone = new Set(removals.flatMap(({ files }) => files.map(({ path }) => path)))
  const left = inventory.derived.filter(({ path }) => !gone.has(path))
  const entries = cachedEntries(left, await images.cache())
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

export const noEviction: EvictionPlan = { steps: [], kept: [], used: noBytes, shortBytes: 0 }
