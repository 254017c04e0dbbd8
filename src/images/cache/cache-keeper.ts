import type { Digest } from '../../base/index.ts'
import type { LongWork } from '../long-work.ts'

/** What has come into the cache, or was to. */
export interface CacheGrowth extends LongWork {
  /** For people: `a lower was built`. */
  readonly why: string
  /** What it is for: nothing that serves these is evicted for its sake. */
  readonly manifests: readonly Digest[]
}

/** Keeps the cache within its budget, if it has one. Nothing here fails: what it is called for has been done, or fails by itself. */
export interface CacheKeeper {
  /** Evicts what is over the budget now. */
  grown(growth: CacheGrowth): Promise<void>
  /** Evicts until so many bytes are free, for what has found no space. @returns whether anything has gone */
  makeRoom(growth: CacheGrowth, bytes: number): Promise<boolean>
}
