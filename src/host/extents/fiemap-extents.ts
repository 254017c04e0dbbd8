import { closeSync, constants, openSync } from 'node:fs'
import { errnoCode } from '../../base/index.ts'
import { type Accuracy, type ExtentFile, type ExtentSource, type Extents, extentList, mark } from './extent-source.ts'
import { ownExtent } from './own-extent.ts'
import { fiemapFlag, type MappedExtent, readFiemap } from './read-fiemap.ts'

/**
 * Extents by FIEMAP. On filesystems that free single blocks (ext4, xfs) this is all there is to know, but for the number of others that share
 * a block; on btrfs, which frees whole extents and compresses them, it is what a user without privileges can see.
 *
 * @param accuracy what that makes of it
 */
export function fiemapExtents(accuracy: Extract<Accuracy, 'exact' | 'bounds'>): ExtentSource {
  return {
    accuracy,
    // Each look at a file writes what is dirty of it.
    settle() {},
    extentsOf: (files) => files.map(extentsByFiemap),
    [Symbol.dispose]() {},
  }
}

function extentsByFiemap({ path, locked, allocatedBytes }: ExtentFile): Extents | undefined {
  if (locked === true) return ownExtent(allocatedBytes)
  const fd = openToLook(path)
  if (fd === undefined) return undefined
  try {
    const list = extentList()
    for (const extent of readFiemap(fd)) {
      if ((extent.flags & (fiemapFlag.inline | fiemapFlag.tail | fiemapFlag.unknown)) !== 0) continue
      list.add(extent.physical, extent.length, marksOf(extent))
    }
    return list.done()
  } finally {
    closeSync(fd)
  }
}

function marksOf({ flags }: MappedExtent): number {
  const shared = (flags & fiemapFlag.shared) === 0 ? 0 : mark.shared
  return (flags & fiemapFlag.encoded) === 0 ? shared : shared | mark.encoded
}

/** undefined when the file is gone. */
export function openToLook(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return undefined
    throw error
  }
}
