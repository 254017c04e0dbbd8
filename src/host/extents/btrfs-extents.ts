import { closeSync, constants, openSync } from 'node:fs'
import { lastError, libc } from '../libc.ts'
import { type ExtentFile, type ExtentSource, type Extents, extentList, mark } from './extent-source.ts'
import { openToLook } from './fiemap-extents.ts'
import { lastSnapshotOf } from './last-snapshot.ts'
import { fiemapFlag, readFiemap, readUInt64 } from './read-fiemap.ts'
import { btrfsItem, btrfsTree, searchBtrfsTree } from './search-btrfs-tree.ts'

/**
 * Extents as btrfs itself has them: the items of its trees say how much of the disk each takes, compressed as it is, and how often it is
 * referred to. Exact to the byte. Needs CAP_SYS_ADMIN; files are not opened.
 *
 * @param directory of the subvolume that the files are in
 * @throws a system error, EPERM without the privilege
 * @see linux/btrfs_tree.h: btrfs_file_extent_item, btrfs_extent_item
 */
export function btrfsExtents(directory: string): ExtentSource {
  const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    const lastSnapshot = lastSnapshotOf(fd)
    return {
      accuracy: 'exact',
      settle() {
        // References are counted when a transaction is committed.
        if (libc().syncfs(fd) < 0) throw lastError('syncfs')
      },
      extentsOf: (files) => extentsOf(fd, files, lastSnapshot),
      references: (addresses) => referencesOf(fd, addresses),
      [Symbol.dispose]: () => closeSync(fd),
    }
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

/** Whether what a file extent item stands for has no extent: it is in the metadata. */
export function isInlineItem(bytes: Buffer, at: number): boolean {
  return bytes.readUInt8(at + 20) === 0
}

/** Numbers of inodes that were made one after the other: what is between two of these is likely to be wanted too, or to be little. */
const nearInodes = 16

function extentsOf(fd: number, files: readonly ExtentFile[], lastSnapshot: number): Extents[] {
  const found = files.map(() => ({ list: extentList(), places: [] as number[], mayBeInSnapshot: false }))
  const order = [...files.keys()].sort((a, b) => inodeOf(files, a) - inodeOf(files, b))
  const search = {
    tree: btrfsTree.ofTheFile,
    objects: order.map((file) => inodeOf(files, file)),
    kind: btrfsItem.fileExtent,
    near: nearInodes,
  }
  searchBtrfsTree(fd, search, (bytes, at, index) => {
    if (isInlineItem(bytes, at)) return
    const address = readUInt64(bytes, at + 21)
    const its = found[order[index] ?? -1]
    // A hole.
    if (address === 0 || its === undefined) return
    const isEncoded = bytes.readUInt16LE(at + 16) !== 0
    its.list.add(address, readUInt64(bytes, at + 29))
    its.places.push(isEncoded ? address : address + readUInt64(bytes, at + 37))
    if (readUInt64(bytes, at) <= lastSnapshot) its.mayBeInSnapshot = true
  })
  return found.map(({ list, places, mayBeInSnapshot }, at) => {
    const extents = list.done()
    const file = files[at]
    if (mayBeInSnapshot && file !== undefined && file.locked !== true) markShared(extents, places, file.path)
    return extents
  })
}

function inodeOf(files: readonly ExtentFile[], at: number): number {
  return files[at]?.inode ?? 0
}

/**
 * A snapshot of the subvolume refers to the extents of all its files by referring to the leaves of its tree, which counts as no reference to an
 * extent. FIEMAP looks through that.
 */
function markShared({ marks }: Extents, places: readonly number[], path: string): void {
  const shared = sharedRanges(path)
  for (const [index, place] of places.entries()) {
    if (shared.some(([start, end]) => place >= start && place < end)) marks[index] = mark.shared
  }
}

function sharedRanges(path: string): (readonly [start: number, end: number])[] {
  const fd = openToLook(path)
  if (fd === undefined) return []
  try {
    const extents = [...readFiemap(fd)].filter(({ flags }) => (flags & fiemapFlag.shared) !== 0)
    return extents.map(({ physical, length }) => [physical, physical + length])
  } finally {
    closeSync(fd)
  }
}

/** Two extents further apart than this are looked for one by one: what is between them need not be read. */
const nearBytes = 64 * 2 ** 20

function referencesOf(fd: number, addresses: Float64Array): Float64Array {
  const references = new Float64Array(addresses.length)
  const search = { tree: btrfsTree.extents, objects: addresses, kind: btrfsItem.extent, near: nearBytes }
  searchBtrfsTree(fd, search, (bytes, at, index) => {
    references[index] = readUInt64(bytes, at)
  })
  return references
}
