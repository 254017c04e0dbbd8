import { formatSize, Problem } from '../../base/index.ts'
import { blockSize } from '../erofs/tree.ts'
import { Checksums } from './checksums.ts'
import { blocksPerGroup, descriptorBlocks, descriptorBytes, groupOverhead, groupPlace, maxBlocks } from './geometry.ts'
import { emptyGroup, encodeGroup, useMoreBlocks } from './group-descriptor.ts'
import { invalidExt4 } from './invalid-ext4.ts'
import type { Ext4Piece } from './layout-ext4.ts'
import { decodeSuperblock, type Superblock, setCounts, superblockBytes, superblockOffset } from './superblock.ts'

export interface GrowExt4 {
  /** The size that it is to have; what is not a multiple of 4096 is rounded down to one. */
  readonly bytes: number
  /** Reads from the image; whole blocks are asked for. */
  readonly read: (offset: number, length: number) => Buffer
}

/** A last group that is smaller than its metadata and this many blocks is left out. */
const leastUseful = 50

/**
 * What to write over an image of layoutExt4, which no one has written to since, so that it is a filesystem of this size: a few blocks of its head, and the
 * block bitmap of its last group. The file has to be made that long, too.
 *
 * @throws Problem EXT4_INVALID when it is no such image, INVALID_REQUEST when it is larger already
 */
export function growExt4({ bytes, read }: GrowExt4): Ext4Piece[] {
  const block = read(0, blockSize)
  const superblock = block.subarray(superblockOffset, superblockOffset + superblockBytes)
  const old = decodeSuperblock(superblock)
  if (old.blocks % blocksPerGroup !== 0) throw invalidExt4('it has been made larger before')
  const blocks = usableBlocks(bytes, old)
  if (blocks < old.blocks) throw tooSmall(bytes, old)
  if (blocks === old.blocks) return []
  const checksums = new Checksums(old.uuid)
  const added = addGroups(old, blocks, checksums)
  const table = growTable({ old, groups: Math.ceil(blocks / blocksPerGroup), read, checksums, added })
  const inodesAdded = added.descriptors.length * old.inodesPerGroup
  setCounts(superblock, {
    blocks,
    freeBlocks: old.freeBlocks + added.freeBlocks - table.ownBlocks,
    inodes: old.inodes + inodesAdded,
    freeInodes: old.freeInodes + inodesAdded,
  })
  return [{ offset: 0, bytes: block }, ...table.pieces, ...added.bitmaps]
}

/** The size of a filesystem as its superblock says. @throws Problem EXT4_INVALID */
export function readExt4Head(block: Buffer): { readonly uuid: Buffer; readonly bytes: number } {
  const { uuid, blocks } = decodeSuperblock(block.subarray(superblockOffset, superblockOffset + superblockBytes))
  return { uuid, bytes: blocks * blockSize }
}

function usableBlocks(bytes: number, { inodesPerGroup }: Superblock): number {
  const blocks = Math.min(Math.floor(bytes / blockSize), maxBlocks)
  const groups = Math.min(Math.floor(blocks / blocksPerGroup), Math.floor(0xffffffff / inodesPerGroup))
  const rest = blocks - groups * blocksPerGroup
  const isUseful = rest < blocksPerGroup && rest >= groupOverhead(inodesPerGroup) + leastUseful
  return groups * blocksPerGroup + (isUseful && (groups + 1) * inodesPerGroup <= 0xffffffff ? rest : 0)
}

function tooSmall(bytes: number, { blocks }: Superblock): Problem {
  const least = blocks * blockSize
  return new Problem('INVALID_REQUEST', `the content of the image needs a disk of ${formatSize(least)} or more`, {
    hint: `choose a larger one, like --upper-size ${Math.ceil(least / 2 ** 30) * 2}GiB`,
    data: { bytes, least },
  })
}

interface AddedGroups {
  readonly descriptors: readonly Buffer[]
  readonly freeBlocks: number
  readonly bitmaps: readonly Ext4Piece[]
}

function addGroups({ blocks: from, inodesPerGroup }: Superblock, to: number, checksums: Checksums): AddedGroups {
  const descriptors: Buffer[] = []
  const bitmaps: Ext4Piece[] = []
  let freeBlocks = 0
  for (let group = from / blocksPerGroup; group * blocksPerGroup < to; group++) {
    const blocks = Math.min(blocksPerGroup, to - group * blocksPerGroup)
    const isLast = (group + 1) * blocksPerGroup >= to
    const use = emptyGroup(group, { blocks, inodesPerGroup })
    // Of the last one it says where it ends.
    const encoded = encodeGroup(use, checksums, isLast ? 'written' : 'implied')
    descriptors.push(encoded.descriptor)
    freeBlocks += encoded.freeBlocks
    if (encoded.blockBitmap !== undefined) {
      bitmaps.push({ offset: groupPlace(group, inodesPerGroup).blockBitmap * blockSize, bytes: encoded.blockBitmap })
    }
  }
  return { descriptors, freeBlocks, bitmaps }
}

interface GrowTable {
  readonly old: Superblock
  readonly groups: number
  readonly read: GrowExt4['read']
  readonly checksums: Checksums
  readonly added: AddedGroups
}

/** The table of descriptors, which may need more blocks than it has: those behind it are free in every image. */
function growTable({ old, groups, read, checksums, added }: GrowTable) {
  const oldGroups = old.blocks / blocksPerGroup
  const [had, needs] = [descriptorBlocks(oldGroups), descriptorBlocks(groups)]
  const table = Buffer.alloc(needs * blockSize)
  read(blockSize, had * blockSize).copy(table)
  for (const [index, descriptor] of added.descriptors.entries()) {
    descriptor.copy(table, (oldGroups + index) * descriptorBytes)
  }
  const pieces: Ext4Piece[] = [{ offset: blockSize, bytes: table }]
  if (needs > had) {
    const place = groupPlace(0, old.inodesPerGroup).blockBitmap * blockSize
    const blockBitmap = Buffer.from(read(place, blockSize))
    const first = { descriptor: table.subarray(0, descriptorBytes), blockBitmap, group: 0 }
    useMoreBlocks(first, [1 + had, 1 + needs], checksums)
    pieces.push({ offset: place, bytes: blockBitmap })
  }
  return { pieces, ownBlocks: needs - had }
}
