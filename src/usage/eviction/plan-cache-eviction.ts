import type { DataLayout } from '../../base/index.ts'
import type { PruneQuery } from '../../contract/index.ts'
import { filesystemOf } from '../../host/index.ts'
import type { Images, RemovalPlan } from '../../images/index.ts'
import type { Accounting } from '../accounting/open-accounting.ts'
import { noBytes } from '../accounting/space.ts'
import type { Inventory } from '../inventory.ts'
import { cachedEntries } from './cached-entry.ts'
import { measureEviction } from './measure-eviction.ts'
import { type EvictionPlan, planEviction } from './plan-eviction.ts'

export interface PlanCacheEviction {
  readonly inventory: Inventory
  readonly query: Pick<PruneQuery, 'until_ms' | 'max_used_bytes' | 'keep_free_bytes'>
  readonly images: Pick<Images, 'cache'>
  readonly layout: DataLayout
  readonly accounting: Accounting
  /** What goes before, with all that is made from it. */
  readonly removals: readonly RemovalPlan[]
}

/** What a prune would evict from the cache. @throws Problem RECORD_INVALID when it cannot be known who needs what */
export async function planCacheEviction(given: PlanCacheEviction): Promise<EvictionPlan> {
  const { inventory, query, images, layout, removals, accounting } = given
  const gone = new Set(removals.flatMap(({ files }) => files.map(({ path }) => path)))
  const left = inventory.derived.filter(({ path }) => !gone.has(path))
  const entries = cachedEntries(left, await images.cache())
  return await planEviction({
    entries,
    budget: { maxUsedBytes: query.max_used_bytes, keepFreeBytes: query.keep_free_bytes },
    freeBytes: (await filesystemOf(layout.root)).freeBytes,
    unusedForMs: query.until_ms,
    now: inventory.takenAt.getTime(),
    figures: measureEviction({ inventory, layout, accounting, entries }),
  })
}

export const noEviction: EvictionPlan = { steps: [], kept: [], used: noBytes, shortBytes: 0 }
