import { statfsSync } from 'node:fs'
import { errnoCode } from '../../base/index.ts'
import { filesystemTypes } from '../filesystem-of.ts'
import { blockExtents } from './block-extents.ts'
import { btrfsExtents } from './btrfs-extents.ts'
import type { ExtentSource } from './extent-source.ts'
import { fiemapExtents } from './fiemap-extents.ts'
import { xfsExtents } from './xfs-extents.ts'

/**
 * The truest way to ask the filesystem of a directory for the extents of its files, which all must be of that filesystem, and of the same
 * subvolume of a btrfs.
 *
 * @throws a system error
 */
export function openExtentSource(directory: string): ExtentSource {
  switch (filesystemTypes[statfsSync(directory).type]) {
    case 'btrfs':
      return openBtrfs(directory)
    case 'xfs':
      return xfsExtents(directory)
    case 'ext4':
      return fiemapExtents('exact')
    case 'tmpfs':
      return blockExtents('block')
    default:
      return blockExtents('estimate')
  }
}

function openBtrfs(directory: string): ExtentSource {
  try {
    return btrfsExtents(directory)
  } catch (error) {
    if (errnoCode(error) === 'EPERM') return fiemapExtents('bounds')
    throw error
  }
}
