import { blockSize, type DirectoryNode } from '../erofs/tree.ts'
import { Checksums } from './checksums.ts'
import { type Adjustment, collectInodes } from './collect-inodes.ts'
import { encodeInode } from './encode-inode.ts'
import {
  blocksPerGroup,
  descriptorBlocks,
  firstInode,
  groupPlace,
  inodeBytes,
  inodesPerBlock,
  maxBlocks,
} from './geometry.ts'
import { type EncodedGroup, encodeGroup } from './group-descriptor.ts'
import { tooLarge } from './invalid-ext4.ts'
import { journalPlan } from './journal.ts'
import { type DataRun, type FindZeroRuns, type Placement, placeBlocks } from './place-blocks.ts'
import type { PlannedInode } from './planned-inode.ts'
import { encodeSuperblock, superblockOffset } from './superblock.ts'

export interface Ext4Options {
  /** 16 bytes each; give the same for the same content, or images are not reproducible. */
  readonly uuid: Buffer
  readonly hashSeed: Buffer
  /** Sizes of the data blobs in blocks of 4096 bytes. */
  readonly blobBlocks: readonly number[]
  /** Without it files have no holes. */
  readonly findZeroRuns?: FindZeroRuns
}

/** Bytes of the image; whole blocks at the offset of a block. */
export interface Ext4Piece {
  readonly offset: number
  readonly bytes: Buffer
}

export interface Ext4Image {
  /** The size of the filesystem: the smallest multiple of 128 MiB that holds the tree and some room. growExt4 makes it larger. */
  readonly bytes: number
  readonly inodes: number
  /** Where it differs from the tree. */
  readonly adjustments: readonly Adjustment[]
  /** What is to be copied from the data blobs. */
  readonly runs: readonly DataRun[]
  /** Everything else that is not zero. May be called again, and gives the same. */
  pieces(): Iterable<Ext4Piece>
}

/** Room that the smallest size leaves, so that a system in it can start. */
const spare = { blocks: 4096, inodes: 1024 }

/**
 * Lays out a file tree as an ext4 of its own: with a journal, extents, checksums over all metadata, times to the nanosecond, and nothing in it that
 * depends on the host. Same tree, same bytes.
 *
 * Every group has its metadata at its start; inodes are numbered and blocks are handed out from the first group on, so that what is in use are
 * few runs and the rest is holes. There are no backups of the superblock (sparse_super2 with none): a larger size then changes
 * the head alone.
 *
 * @throws Problem EXT4_INVALID naming the path that ext4 cannot hold
 * @see https://docs.kernel.org/filesystems/ext4/index.html
 */
export function layoutExt4(root: DirectoryNode, options: Ext4Options): Ext4Image {
  const { inodes: collected, adjustments } = collectInodes(root)
  const journal = journalPlan()
  const [first, ...others] = collected
  const inodes = first === undefined ? [journal] : [first, journal, ...others]
  const placement = placeBlocks(inodes, options)
  const image: Image = { ...options, inodes, journal, placement, groups: groupCount(inodes, placement) }
  return {
    bytes: image.groups * blocksPerGroup * blockSize,
    inodes: inodes.length,
    adjustments,
    runs: placement.runs,
    pieces: () => pieces(image),
  }
}

interface Image extends Ext4Options {
  /** By rising number. */
  readonly inodes: readonly PlannedInode[]
  readonly journal: PlannedInode
  readonly placement: Placement
  readonly groups: number
}

function groupCount(inodes: readonly PlannedInode[], { end, inodesPerGroup }: Placement): number {
  const forBlocks = Math.ceil((end + spare.blocks) / blocksPerGroup)
  const forInodes = Math.ceil((inodes.length + firstInode + spare.inodes) / inodesPerGroup)
  const groups = Math.max(forBlocks, forInodes)
  if (groups * blocksPerGroup <= maxBlocks && groups * inodesPerGroup <= 0xffffffff) return groups
  throw tooLarge()
}

function* pieces(image: Image): Generator<Ext4Piece> {
  const { placement, inodes, uuid } = image
  const checksums = new Checksums(uuid)
  const groups = encodeGroups(image, checksums)
  yield* head(image, groups)
  for (const [group, { blockBitmap, inodeBitmap }] of groups.entries()) {
    const place = groupPlace(group, placement.inodesPerGroup)
    if (blockBitmap !== undefined) yield at(place.blockBitmap, blockBitmap)
    if (inodeBitmap !== undefined) yield at(place.inodeBitmap, inodeBitmap)
  }
  yield* inodeTables(image, checksums)
  for (const inode of inodes) yield* ownBlocks(inode, checksums)
}

/** The superblock and the descriptors. */
function* head(image: Image, groups: readonly EncodedGroup[]): Generator<Ext4Piece> {
  const { inodes, journal, placement, uuid, hashSeed } = image
  const inodeCount = image.groups * placement.inodesPerGroup
  const block = Buffer.alloc(blockSize)
  encodeSuperblock({
    ...{ uuid, hashSeed, inodesPerGroup: placement.inodesPerGroup },
    blocks: image.groups * blocksPerGroup,
    freeBlocks: groups.reduce((sum, { freeBlocks }) => sum + freeBlocks, 0),
    inodes: inodeCount,
    freeInodes: inodeCount - lastInode(inodes),
    journal: { root: journal.extentRoot ?? Buffer.alloc(0), bytes: journal.size },
  }).copy(block, superblockOffset)
  yield at(0, block)
  const descriptors = Buffer.alloc(descriptorBlocks(image.groups) * blockSize)
  for (const [group, { descriptor }] of groups.entries()) descriptor.copy(descriptors, group * descriptor.length)
  yield at(1, descriptors)
}

function encodeGroups({ inodes, placement, groups }: Image, checksums: Checksums): EncodedGroup[] {
  const { inodesPerGroup, end } = placement
  const last = lastInode(inodes)
  const directories = new Array<number>(groups).fill(0)
  for (const { ino, kind } of inodes) {
    const group = Math.floor((ino - 1) / inodesPerGroup)
    if (kind === 'directory') directories[group] = (directories[group] ?? 0) + 1
  }
  return directories.map((count, group) => {
    const first = group * blocksPerGroup
    const place = groupPlace(group, inodesPerGroup)
    const head = group === 0 ? 1 + descriptorBlocks(groups) : 0
    const usedEnd = Math.max(place.end, Math.min(end, first + blocksPerGroup))
    const use = {
      ...{ group, inodesPerGroup, blocks: blocksPerGroup, directories: count },
      usedBlocks: [
        [0, head],
        [place.blockBitmap - first, usedEnd - first],
      ] as const,
      usedInodes: Math.max(0, Math.min(last - group * inodesPerGroup, inodesPerGroup)),
    }
    return encodeGroup(use, checksums, 'written')
  })
}

function lastInode(inodes: readonly PlannedInode[]): number {
  return Math.max(firstInode - 1, inodes.at(-1)?.ino ?? 0)
}

/** Block by block, as far as there are inodes. */
function* inodeTables({ inodes, placement }: Image, checksums: Checksums): Generator<Ext4Piece> {
  const { inodesPerGroup } = placement
  let block = Buffer.alloc(blockSize)
  let number = 0
  const blockOf = (ino: number) => Math.floor((ino - 1) / inodesPerBlock)
  const place = (tableBlock: number) => {
    const perGroup = inodesPerGroup / inodesPerBlock
    return groupPlace(Math.floor(tableBlock / perGroup), inodesPerGroup).inodeTable + (tableBlock % perGroup)
  }
  for (const inode of inodes) {
    if (blockOf(inode.ino) !== number) {
      yield at(place(number), block)
      block = Buffer.alloc(blockSize)
      number = blockOf(inode.ino)
    }
    const bytes = encodeInode(inode)
    checksums.sealInode(bytes, inode.ino)
    bytes.copy(block, ((inode.ino - 1) % inodesPerBlock) * inodeBytes)
  }
  yield at(place(number), block)
}

/** Its xattrs, its content as far as the image itself has it, its extent tree. */
function* ownBlocks(inode: PlannedInode, checksums: Checksums): Generator<Ext4Piece> {
  const { ino, xattrs, xattrBlock, treeBlocks } = inode
  if (xattrs.inBlock !== undefined && xattrBlock !== undefined) {
    const block = Buffer.from(xattrs.inBlock)
    checksums.sealXattrBlock(block, xattrBlock)
    yield at(xattrBlock, block)
  }
  yield* bodyPieces(inode, checksums)
  for (const { block, bytes } of treeBlocks) {
    const sealed = Buffer.from(bytes)
    checksums.sealExtentBlock(sealed, ino)
    yield at(block, sealed)
  }
}

function* bodyPieces({ ino, kind, body, extents }: PlannedInode, checksums: Checksums): Generator<Ext4Piece> {
  if (body === undefined) return
  let index = 0
  for (const { block: first, blocks } of extents) {
    for (let number = 0; number < blocks; number++, index++) {
      if (index > 0 && body.holesAfterFirst === true) return
      const block = body.block(index)
      if (kind === 'directory') checksums.sealDirectoryBlock(block, ino)
      yield at(first + number, block)
    }
  }
}

function at(block: number, bytes: Buffer): Ext4Piece {
  return { offset: block * blockSize, bytes }
}
