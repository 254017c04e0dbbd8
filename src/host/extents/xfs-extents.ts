import { closeSync, constants, openSync } from 'node:fs'
import { errnoCode } from '../../base/index.ts'
import type { ExtentSource } from './extent-source.ts'
import { fiemapExtents } from './fiemap-extents.ts'
import { awaitXfsDeletions } from './xfs-space.ts'

/** Extents on xfs, which frees in the background: until it has, what a deleted file shared is said to be shared still. */
export function xfsExtents(directory: string): ExtentSource {
  return { ...fiemapExtents('exact'), settle: () => settle(directory) }
}

function settle(directory: string): void {
  const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    awaitXfsDeletions(fd)
  } catch (error) {
    // Without the privilege it is a matter of moments.
    if (errnoCode(error) !== 'EPERM') throw error
  } finally {
    closeSync(fd)
  }
}
