import { decompressLz4 } from '../lz4/index.ts'
import type { Extent } from './tree.ts'

/**
 * The content of an extent.
 *
 * @param cluster all blocks of it
 * @returns undefined when the cluster does not hold so many bytes
 */
export function decodeCluster(cluster: Buffer, { length, raw }: Pick<Extent, 'length' | 'raw'>): Buffer | undefined {
  if (raw) return length <= cluster.length ? cluster.subarray(0, length) : undefined
  // Compressed bytes end with the cluster, and their first is never 0.
  const first = cluster.findIndex((byte) => byte !== 0)
  const content = Buffer.alloc(length)
  return first >= 0 && decompressLz4(cluster.subarray(first), content) ? content : undefined
}
