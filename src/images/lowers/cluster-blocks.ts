import type { LowerProfile } from '../../base/index.ts'

/** Blocks of the largest cluster of a compressed file; undefined for the profile that compresses nothing. */
export function clusterBlocksOf(profile: LowerProfile): 1 | 16 | undefined {
  return { plain: undefined, lz4: 1 as const, 'lz4-64k': 16 as const }[profile]
}
