import { blockSize } from '../erofs/tree.ts'

/** As many as the bits of a bitmap block. A group has 128 MiB. */
export const blocksPerGroup = 8 * blockSize
export const inodeBytes = 256
export const inodesPerBlock = blockSize / inodeBytes
export const descriptorBytes = 64
/**
 * Blocks behind the superblock that are kept free for group descriptors, as far as a filesystem of 16 TiB needs them: so that a larger size
 * moves nothing.
 */
export const descriptorRoom = 2048
/** Block numbers have 32 bits here, which is also the largest file of an ext4 below us. */
export const maxBlocks = 2 ** 32 - 1

/** Inode numbers that ext4 knows by heart. */
export const rootInode = 2
export const journalInode = 8
/** Those before are reserved: in use, whatever they hold. */
export const firstInode = 11

/** A run of blocks of the image. */
export interface Extent {
  readonly block: number
  readonly blocks: number
}

/** Where the metadata of a group is: all of it in the group itself, one behind the other. */
export interface GroupPlace {
  readonly blockBitmap: number
  readonly inodeBitmap: number
  readonly inodeTable: number
  /** The first block behind. */
  readonly end: number
}

/** @param head blocks of superblock and descriptors that are before it, in all groups but the first */
export function groupPlace(group: number, inodesPerGroup: number, head = 0): GroupPlace {
  const first = group === 0 ? 1 + descriptorRoom : group * blocksPerGroup + head
  return {
    blockBitmap: first,
    inodeBitmap: first + 1,
    inodeTable: first + 2,
    end: first + 2 + inodesPerGroup / inodesPerBlock,
  }
}

/** Blocks of a group that its own metadata takes; without the superblock and the descriptors, which only group 0 has. */
export function groupOverhead(inodesPerGroup: number): number {
  return 2 + inodesPerGroup / inodesPerBlock
}

export function descriptorBlocks(groups: number): number {
  return Math.ceil((groups * descriptorBytes) / blockSize)
}
