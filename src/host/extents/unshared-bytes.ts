import { closeSync, fstatSync, openSync } from 'node:fs'
import { errnoCode, problemFromSystem } from '../../base/index.ts'
import { fiemapFlag, readFiemap } from './read-fiemap.ts'

/**
 * What a file has for itself: st_blocks × 512, without the extents that others refer to as well. Where the filesystem cannot tell, files share none.
 *
 * @throws Problem FILE_NOT_FOUND, IO_FAILED
 */
export function unsharedBytes(path: string): number {
  try {
    const fd = openSync(path, 'r')
    try {
      return Math.max(0, fstatSync(fd).blocks * 512 - sharedBytes(fd))
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    throw problemFromSystem(error, `look at the extents of ${path}`)
  }
}

function sharedBytes(fd: number): number {
  try {
    let bytes = 0
    for (const { length, flags } of readFiemap(fd)) if ((flags & fiemapFlag.shared) !== 0) bytes += length
    return bytes
  } catch (error) {
    if (errnoCode(error) === 'EOPNOTSUPP') return 0
    throw error
  }
}
