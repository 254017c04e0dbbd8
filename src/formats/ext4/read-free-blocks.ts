import { blockSize } from '../erofs/tree.ts'
import { Checksums } from './checksums.ts'
import { headOfGroup } from './descriptor-table.ts'
import { blocksPerGroup, type Extent } from './geometry.ts'
import { decodeGuestSuperblock, type GuestSuperblock } from './guest-superblock.ts'
import { invalidExt4 } from './invalid-ext4.ts'
import { type Group, type ReadDisk, readBlockBitmap, readGroups, wholeGroup } from './read-groups.ts'
import { superblockBytes, superblockOffset } from './superblock.ts'

export interface ReadFreeBlocks {
  /** Of the disk, in bytes. */
  readonly bytes: number
  readonly read: ReadDisk
}

export interface FreeBlocks {
  readonly blockBytes: number
  /** In ascending order; neighbours of two groups are not put together. */
  readonly runs: readonly Extent[]
}

/**
 * Which blocks of a filesystem nothing is in, by its block bitmaps: it is not mounted, and may have been written by anybody. All of it is looked at before anything
 * is returned, and whatever is not in order is refused: a journal that has to be replayed, errors, features that change what a bitmap means, a checksum or a count
 * that is wrong, metadata that is said to be free.
 *
 * @throws Problem EXT4_INVALID
 * @see https://docs.kernel.org/filesystems/ext4/globals.html, group_descr.html, bitmaps.html
 */
export function readFreeBlocks({ bytes, read }: ReadFreeBlocks): FreeBlocks {
  const superblock = decodeGuestSuperblock(read(superblockOffset, superblockBytes), bytes)
  const checksums = new Checksums(superblock.uuid)
  const groups = readGroups(superblock, checksums, read)
  const metadata = metadataOf(superblock, groups)
  const runs: Extent[] = []
  for (const group of groups) {
    const free = group.isImplied
      ? [wholeGroup(superblock, group.number)]
      : readBitmap(superblock, group, checksums, read)
    const usable = without(free, metadata)
    if (!group.isImplied && countBlocks(usable) !== countBlocks(free)) {
      throw invalidExt4('blocks of its own are marked as free')
    }
    for (const run of usable) runs.push(run)
  }
  return { blockBytes: blockSize, runs }
}

/** Where superblocks, descriptors, bitmaps and inode tables are, in ascending order and apart from each other. */
function metadataOf(superblock: GuestSuperblock, groups: readonly Group[]): Extent[] {
  const { inodesPerGroup, inodeBytes, blocks } = superblock
  const inodeBlocks = Math.ceil((inodesPerGroup * inodeBytes) / blockSize)
  const all = groups.flatMap(({ number, blockBitmap, inodeBitmap, inodeTable }) => [
    { block: number * blocksPerGroup, blocks: headOfGroup(superblock, number) },
    { block: blockBitmap, blocks: 1 },
    { block: inodeBitmap, blocks: 1 },
    { block: inodeTable, blocks: inodeBlocks },
  ])
  // Not of a backup, whose room for more descriptors may reach beyond a short last group.
  if (groups.some(({ blockBitmap, inodeTable }) => blockBitmap >= blocks || inodeTable + inodeBlocks > blocks)) {
    throw invalidExt4('its metadata is beyond its end')
  }
  return merged(all.filter(({ blocks: some }) => some > 0))
}

function readBitmap(superblock: GuestSuperblock, group: Group, checksums: Checksums, read: ReadDisk): Extent[] {
  const bits = readBlockBitmap(group, checksums, read)
  const runs = zeroBits(bits, wholeGroup(superblock, group.number))
  if (countBlocks(runs) !== group.freeBlocks)
    throw invalidExt4(`group ${group.number} does not have as many free blocks as it says`)
  return runs
}

function zeroBits(bits: Buffer, { block, blocks }: Extent): Extent[] {
  const runs: Extent[] = []
  let start = -1
  for (let bit = 0; bit <= blocks; bit++) {
    const isFree = bit < blocks && ((bits[bit >> 3] ?? 0xff) & (1 << (bit & 7))) === 0
    if (isFree && start < 0) start = bit
    if (isFree || start < 0) continue
    runs.push({ block: block + start, blocks: bit - start })
    start = -1
  }
  return runs
}

/** What nobody has taken of some runs. @param taken ascending, apart from each other */
function without(runs: readonly Extent[], taken: readonly Extent[]): Extent[] {
  return runs.flatMap((run) => {
    const left: Extent[] = []
    let at = run.block
    const end = run.block + run.blocks
    for (let next = firstBehind(taken, run.block); at < end; next++) {
      const stop = taken[next]
      const until = Math.min(end, stop?.block ?? end)
      if (until > at) left.push({ block: at, blocks: until - at })
      at = stop === undefined ? end : Math.max(until, stop.block + stop.blocks)
    }
    return left
  })
}

/** The place of the first that ends behind a block, by bisection. */
function firstBehind(taken: readonly Extent[], block: number): number {
  let [low, high] = [0, taken.length]
  while (low < high) {
    const middle = (low + high) >> 1
    const { block: start, blocks } = taken[middle] ?? { block: 0, blocks: 0 }
    if (start + blocks > block) high = middle
    else low = middle + 1
  }
  return low
}

function merged(extents: readonly Extent[]): Extent[] {
  const found: { block: number; blocks: number }[] = []
  for (const { block, blocks } of [...extents].sort((a, b) => a.block - b.block)) {
    const last = found.at(-1)
    if (last === undefined || last.block + last.blocks < block) found.push({ block, blocks })
    else last.blocks = Math.max(last.blocks, block + blocks - last.block)
  }
  return found
}

function countBlocks(runs: readonly Extent[]): number {
  return runs.reduce((sum, { blocks }) => sum + blocks, 0)
}
