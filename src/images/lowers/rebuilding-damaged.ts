import { type DataLayout, isProblem, type LowerProfile } from '../../base/index.ts'
import type { Crew } from './flights.ts'
import { type LayerBlob, rebuildLayer } from './unpack-layer.ts'

/** Layers of a manifest, and what unpacking them needs. */
export interface LayerWork extends Crew {
  readonly layout: DataLayout
  readonly layers: readonly LayerBlob[]
  /** How their data is stored. */
  readonly profile: LowerProfile
  /** How many layers are unpacked at the same time. */
  readonly workers?: number
}

/**
 * Makes something of cached layers. Disks rot and people tidy up: a layer whose files are not what they should be, as `work` says with
 * `data.damaged`, is unpacked again, each at most once, and `work` begins anew.
 */
export async function rebuildingDamaged<T>(options: LayerWork, work: () => Promise<T>): Promise<T> {
  const rebuilt = new Set<unknown>()
  for (;;) {
    try {
      return await work()
    } catch (error) {
      const diffId = isProblem(error) ? error.data?.damaged : undefined
      const layer = options.layers.find((candidate) => candidate.diffId === diffId)
      if (layer === undefined || rebuilt.has(diffId)) throw error
      rebuilt.add(diffId)
      await rebuildLayer({ ...options, ...layer })
    }
  }
}
