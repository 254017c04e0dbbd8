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
      extentsOf: (file) => extentsOf(fd, file, lastSnapshot),
      references: (addresses) => referencesOf(fd, addresses),
      [Symbol.dispose]: () => closeSync(fd),
    }
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

/** Of a file extent item. Inline data has no extent: it is in the metadata. */
const isInline = 0

function extentsOf(fd: number, file: ExtentFile, lastSnapshot: number): Extents {
  const list = extentList()
  const places: number[] = []
  let mayBeInSnapshot = false
  const range = {
    tree: btrfsTree.ofTheFile,
    objects: [file.inode, file.inode],
    kind: btrfsItem.fileExtent,
  } as const
  for (const { bytes, at } of searchBtrfsTree(fd, range)) {
    if (bytes.readUInt8(at + 20) === isInline) continue
    const address = readUInt64(bytes, at + 21)
    // A hole.
    if (address === 0) continue
    const isEncoded = bytes.readUInt16LE(at + 16) !== 0
    list.add(address, readUInt64(bytes, at + 29))
    places.push(isEncoded ? address : address + readUInt64(bytes, at + 37))
    if (readUInt64(bytes, at) <= lastSnapshot) mayBeInSnapshot = true
  }
  const extents = list.done()
  if (mayBeInSnapshot && file.locked !== true) markShared(extents, places, file.path)
  return extents
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
const farBytes = 64 * 2 ** 20

function referencesOf(fd: number, addresses: Float64Array): Float64Array {
  const references = new Float64Array(addresses.length)
  for (let first = 0; first < addresses.length; ) {
    let last = first
    while (last + 1 < addresses.length && at(addresses, last + 1) - at(addresses, last) < farBytes) last++
    countInRange(fd, { addresses, references, first, last })
    first = last + 1
  }
  return references
}

interface Counting {
  readonly addresses: Float64Array
  readonly references: Float64Array
  readonly first: number
  readonly last: number
}

function countInRange(fd: number, { addresses, references, first, last }: Counting): void {
  let next = first
  const range = {
    tree: btrfsTree.extents,
    objects: [at(addresses, first), at(addresses, last)],
    kind: btrfsItem.extent,
  } as const
  for (const { objectId, bytes, at: place } of searchBtrfsTree(fd, range)) {
    while (next <= last && at(addresses, next) < objectId) next++
    if (next <= last && at(addresses, next) === objectId) references[next] = readUInt64(bytes, place)
  }
}

function at(values: Float64Array, index: number): number {
  return values[index] ?? Number.NaN
}
