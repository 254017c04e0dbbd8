import type { ExtentFile, ExtentSource, Extents } from './extent-source.ts'
import { fiemapExtents } from './fiemap-extents.ts'
import { awaitDeletions } from './measure-space.ts'

/**
 * Extents on xfs. It frees in the background: until it has, what a deleted file shared is said to be shared still. And where a file is written to
 * that shares blocks, it holds more ready than is written.
 */
export function xfsExtents(directory: string): ExtentSource {
  return { ...fiemapExtents('exact'), settle: () => awaitDeletions(directory), reservedBytes }
}

/** Extents in one block of the tree that lists a file's, when it is half full: xfs, struct xfs_bmbt_rec in blocks of 4 KiB. */
const listedInBlock = 125

/** Only st_blocks tells of the reservations; it has the blocks of the tree too. */
function reservedBytes({ allocatedBytes, locked }: ExtentFile, { lengths }: Extents): number {
  if (locked === true) return 0
  const mapped = lengths.reduce((sum, length) => sum + length, 0)
  const listed = lengths.length > 10 ? Math.ceil(lengths.length / listedInBlock) * 4096 : 0
  return Math.max(0, allocatedBytes - mapped - listed)
}
