import { closeSync, constants, fstatSync, openSync } from 'node:fs'
import { readXfsReverseMap } from '../../src/host/extents/read-xfs-reverse-map.ts'

/**
 * What files have of an xfs with a reverse map, each block once: all that is used but for what the filesystem has for itself, inodes, lists of extents
 * and of free space. Directories that do not fit into their inodes are in it.
 */
export function xfsDataBytes(directory: string): number {
  const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    let [sum, end] = [0, 0]
    for (const { physical, length } of readXfsReverseMap(
      { fd, device: fstatSync(fd).dev },
      0,
      Number.MAX_SAFE_INTEGER,
    )) {
      const after = physical + length
      sum += Math.max(0, after - Math.max(end, physical))
      end = Math.max(end, after)
    }
    return sum
  } finally {
    closeSync(fd)
  }
}
