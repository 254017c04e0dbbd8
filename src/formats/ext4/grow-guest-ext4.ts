import { formatSize, Problem } from '../../base/index.ts'
import { blockSize } from '../erofs/tree.ts'
import { Checksums } from './checksums.ts'
import {
  blocksOfDescriptors,
  descriptorsPerBlock,
  groupsWithBackup,
  headOfGroup,
  placesOfDescriptors,
} from './descriptor-table.ts'
import { blocksPerGroup, descriptorBytes, groupOverhead, groupPlace, inodeBytes, maxBlocks } from './geometry.ts'
import { emptyGroup, encodeGroup, freeMoreBlocks } from './group-descriptor.ts'
import { decodeGuestSuperblock, type GuestSuperblock, growSuperblock } from './guest-superblock.ts'
import { invalidExt4 } from './invalid-ext4.ts'
import type { Ext4Piece } from './layout-ext4.ts'
import { type Group, type ReadDisk, readBlockBitmap, readGroups, wholeGroup } from './read-groups.ts'
import { superblockBytes, superblockOffset } from './superblock.ts'

export interface GrowGuestExt4 {
  /** Of the disk as it is, in bytes. */
  readonly from: number
  /** Of the disk as it is to be. */
  readonly to: number
  readonly read: ReadDisk
}

/** A last group that is smaller than its metadata and this many blocks is left out. */
const leastUseful = 50

/**
 * What to write over a filesystem that a guest has written to, and that is not mounted, so that it fills a larger disk. Nothing in it moves: what is added is behind its end, but
 * for the block bitmap of its last group and descriptors. Beyond what its table of descriptors has room for, those of groups that are added are where these are (meta_bg). What is
 * written is no filesystem until all of it is there.
 *
 * @returns nothing when it is that large already, or so nearly that nothing can be added
 * @throws Problem EXT4_INVALID when anything about it is not in order, or it is of another kind than cowshed makes; INVALID_REQUEST when it can not become as large
 */
export function growGuestExt4({ from, to, read }: GrowGuestExt4): Ext4Piece[] {
  const superblock = read(superblockOffset, superblockBytes)
  const old = decodeGuestSuperblock(superblock, from)
  refuseOtherKinds(old)
  const grown = withBlocks(old, usableBlocks(to, old))
  if (grown.blocks <= old.blocks) return []
  const growing = { old, grown, checksums: new Checksums(old.uuid), read }
  const groups = readGroups(old, growing.checksums, read)
  const last = growLastGroup(groups, growing)
  const added = addGroups(growing)
  const descriptors = [
    ...groups.slice(0, -1).map(({ descriptor }) => descriptor),
    last.descriptor,
    ...added.descriptors,
  ]
  const freeBlocks = last.freeBlocks + added.freeBlocks
  return [
    ...added.bitmaps,
    ...last.bitmaps,
    ...growTable(descriptors, growing),
    ...growSuperblocks(superblock, freeBlocks, growing),
  ]
}

function refuseOtherKinds(superblock: GuestSuperblock): void {
  const { isSparse2, reservedBlocks, inodeBytes: itsInodes, descriptorBytes: itsDescriptors } = superblock
  if (isSparse2 && reservedBlocks === 0 && itsInodes === inodeBytes && itsDescriptors === descriptorBytes) return
  throw invalidExt4('it was made by something else, and grows where it is mounted')
}

/** @throws Problem INVALID_REQUEST */
function usableBlocks(bytes: number, { inodesPerGroup }: GuestSuperblock): number {
  const blocks = Math.min(Math.floor(bytes / blockSize), maxBlocks)
  const groups = Math.floor(blocks / blocksPerGroup)
  const rest = blocks - groups * blocksPerGroup
  if ((groups + 1) * inodesPerGroup > 0xffffffff) {
    throw new Problem('INVALID_REQUEST', `its filesystem cannot have ${formatSize(bytes)}: it has too many inodes`, {
      hint: 'choose a smaller size',
      data: { bytes },
    })
  }
  // It may begin with descriptors.
  return groups * blocksPerGroup + (rest >= 1 + groupOverhead(inodesPerGroup) + leastUseful ? rest : 0)
}

/** The same filesystem with more blocks. */
function withBlocks(old: GuestSuperblock, blocks: number): GuestSuperblock {
  const groups = Math.ceil(blocks / blocksPerGroup)
  const isBeyond = blocksOfDescriptors({ ...old, groups }) > old.tableBlocks
  const firstMetaBlock = isBeyond ? Math.min(old.firstMetaBlock, old.tableBlocks) : old.firstMetaBlock
  return { ...old, blocks, groups, firstMetaBlock }
}

interface Growing {
  readonly old: GuestSuperblock
  readonly grown: GuestSuperblock
  readonly checksums: Checksums
  readonly read: ReadDisk
}

/** The last group that there was may have been a short one. */
function growLastGroup(groups: readonly Group[], { old, grown, checksums, read }: Growing) {
  const group = groups.at(-1)
  if (group === undefined) throw invalidExt4('it has no groups')
  const { number, blockBitmap: place } = group
  const [had, has] = [wholeGroup(old, number).blocks, wholeGroup(grown, number).blocks]
  const bits = group.isImplied ? undefined : Buffer.from(readBlockBitmap(group, checksums, read))
  const descriptor = Buffer.from(group.descriptor)
  if (has > had) freeMoreBlocks({ descriptor, blockBitmap: bits, group: number }, [had, has], checksums)
  const bitmaps: Ext4Piece[] = bits === undefined ? [] : [{ offset: place * blockSize, bytes: bits }]
  return { descriptor, freeBlocks: has - had, bitmaps }
}

/** All that is behind the end is a hole: of an empty group nothing need be written but its descriptor, and of the last one where it ends. */
function addGroups({ old, grown, checksums }: Growing) {
  const { inodesPerGroup } = grown
  const descriptors: Buffer[] = []
  const bitmaps: Ext4Piece[] = []
  let freeBlocks = 0
  for (let group = old.groups; group < grown.groups; group++) {
    const head = headOfGroup(grown, group)
    const { blocks } = wholeGroup(grown, group)
    const use = emptyGroup(group, { blocks, inodesPerGroup, head })
    const encoded = encodeGroup(use, checksums, group === grown.groups - 1 ? 'written' : 'implied')
    descriptors.push(encoded.descriptor)
    freeBlocks += encoded.freeBlocks
    if (encoded.blockBitmap === undefined) continue
    const { blockBitmap } = groupPlace(group, inodesPerGroup, head)
    bitmaps.push({ offset: blockBitmap * blockSize, bytes: encoded.blockBitmap })
  }
  return { descriptors, freeBlocks, bitmaps }
}

/** The blocks of descriptors that change, with their copies. */
function growTable(descriptors: readonly Buffer[], { old, grown }: Growing): Ext4Piece[] {
  const perBlock = descriptorsPerBlock(grown)
  const pieces: Ext4Piece[] = []
  for (let nth = Math.floor((old.groups - 1) / perBlock); nth < blocksOfDescriptors(grown); nth++) {
    const bytes = Buffer.alloc(blockSize)
    Buffer.concat(descriptors.slice(nth * perBlock, (nth + 1) * perBlock)).copy(bytes)
    for (const place of placesOfDescriptors(grown, nth)) pieces.push({ offset: place * blockSize, bytes })
  }
  return pieces
}

function growSuperblocks(superblock: Buffer, freeBlocks: number, { grown }: Growing): Ext4Piece[] {
  return groupsWithBackup(grown).map((group) => {
    const bytes = Buffer.from(superblock)
    growSuperblock(bytes, { ...grown, group, freeBlocks })
    return { offset: group === 0 ? superblockOffset : group * blocksPerGroup * blockSize, bytes }
  })
}
