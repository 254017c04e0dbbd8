import { closeSync, constants, fstatSync, openSync } from 'node:fs'
import { errnoCode } from '../../base/index.ts'
import { type ExtentFile, type ExtentSource, type Extents, extentList, mark } from './extent-source.ts'
import { fiemapExtents } from './fiemap-extents.ts'
import { awaitDeletions } from './measure-space.ts'
import { hasXfsReverseMap, readXfsReverseMap, type XfsDevice } from './read-xfs-reverse-map.ts'

/**
 * Extents on xfs. It frees in the background: until it has, what a deleted file shared is said to be shared still. Where a file is written to
 * that shares blocks, it holds more ready than is written. And FIEMAP says whether a block is shared, not with whom: that is in the reverse map of
 * those that have one.
 *
 * @throws a system error
 */
export function xfsExtents(directory: string): ExtentSource {
  const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    const on = { fd, device: fstatSync(fd).dev }
    return {
      ...fiemapExtents('exact'),
      settle: () => awaitDeletions(directory),
      ...(canTellOwners(on) ? { outsiders: outsidersOn(on) } : { overlooks: true }),
      reservedBytes,
      [Symbol.dispose]: () => closeSync(fd),
    }
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

function canTellOwners(on: XfsDevice): boolean {
  try {
    return hasXfsReverseMap(on)
  } catch (error) {
    if (errnoCode(error) === undefined) throw error
    return false
  }
}

function outsidersOn(on: XfsDevice): NonNullable<ExtentSource['outsiders']> {
  return (extents, inodes) => {
    const list = extentList()
    for (const [first, end] of sharedRanges(extents)) {
      for (const { physical, length, inode } of readXfsReverseMap(on, first, end)) {
        if (!inodes.has(inode)) list.add(physical, length)
      }
    }
    return list.done()
  }
}

/** Two places further apart than this are asked about one by one: what is between them need not be read. */
const farBytes = 16 * 2 ** 20

/** Where anything is shared, in the order of addresses; no two reach into each other. */
function sharedRanges(all: readonly Extents[]): [first: number, end: number][] {
  const places = all.flatMap(({ starts, lengths, marks }) =>
    [...marks].flatMap((bits, at): [number, number][] => {
      const start = starts[at] ?? 0
      return (bits & mark.shared) === 0 ? [] : [[start, start + (lengths[at] ?? 0)]]
    }),
  )
  const ranges: [first: number, end: number][] = []
  for (const [start, end] of places.sort(([a], [b]) => a - b)) {
    const last = ranges.at(-1)
    if (last !== undefined && start <= last[1] + farBytes) last[1] = Math.max(last[1], end)
    else ranges.push([start, end])
  }
  return ranges
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
