import { crc32c } from '../erofs/crc32c.ts'
import { blockSize } from '../erofs/tree.ts'
import type { DescriptorTable } from './descriptor-table.ts'
import { blocksPerGroup } from './geometry.ts'
import { invalidExt4 } from './invalid-ext4.ts'
import { magic, superblockBytes } from './superblock.ts'

/** What of a superblock says where bitmaps are. */
export interface GuestSuperblock extends DescriptorTable {
  readonly uuid: Buffer
  readonly blocks: number
  readonly inodesPerGroup: number
  readonly inodeBytes: number
  /** What of tableBlocks is kept free. */
  readonly reservedBlocks: number
  /** sparse_super2: it names the groups with a copy of the superblock. */
  readonly isSparse2: boolean
}

const sparseSuper2 = 0x200
const metaGroups = 0x10
/** filetype, meta_bg, extent, 64bit, flex_bg: none of them changes what a bitmap means. */
const knownIncompat = 0x2 | metaGroups | 0x40 | 0x80 | 0x200
const bits64 = 0x80
const needsRecovery = 0x4
/** sparse_super, large_file, huge_file, dir_nlink, extra_isize, metadata_csum. */
const knownReadOnlyCompat = 0x1 | 0x2 | 0x8 | 0x20 | 0x40 | 0x400
const sparseSuper = 0x1
const metadataChecksums = 0x400
const crc32cType = 1
const clean = 1

/**
 * Reads the superblock of a filesystem that a guest has written to. Whatever is not as cowshed and the guest's kernel leave it is refused.
 *
 * @param fileBytes how large the disk is
 * @throws Problem EXT4_INVALID
 */
export function decodeGuestSuperblock(bytes: Buffer, fileBytes: number): GuestSuperblock {
  checkKind(bytes)
  const incompat = bytes.readUInt32LE(0x60)
  const blocks = bytes.readUInt32LE(0x04) + ((incompat & bits64) === 0 ? 0 : bytes.readUInt32LE(0x150) * 2 ** 32)
  const inodesPerGroup = bytes.readUInt32LE(0x28)
  const descriptorBytes = (incompat & bits64) === 0 ? 32 : bytes.readUInt16LE(0xfe)
  const inodeBytes = bytes.readUInt16LE(0x58)
  const groups = Math.ceil(blocks / blocksPerGroup)
  const isSound =
    blocks > 0 &&
    blocks * blockSize <= fileBytes &&
    [32, 64].includes(descriptorBytes) &&
    [128, 256, 512, 1024].includes(inodeBytes) &&
    inodesPerGroup > 0 &&
    inodesPerGroup <= blocksPerGroup &&
    inodesPerGroup % 8 === 0 &&
    groups * inodesPerGroup === bytes.readUInt32LE(0x00)
  if (!isSound) throw invalidExt4('its superblock contradicts itself, or the size of the disk')
  const firstMetaBlock = (incompat & metaGroups) === 0 ? Number.POSITIVE_INFINITY : bytes.readUInt32LE(0x104)
  const reservedBlocks = bytes.readUInt16LE(0xce)
  return {
    uuid: Buffer.from(bytes.subarray(0x68, 0x78)),
    blocks,
    groups,
    inodesPerGroup,
    inodeBytes,
    descriptorBytes,
    reservedBlocks,
    tableBlocks: Math.min(Math.ceil((groups * descriptorBytes) / blockSize), firstMetaBlock) + reservedBlocks,
    firstMetaBlock,
    isSparse2: isSparse2(bytes),
    hasBackup: backups(bytes),
  }
}

export interface GrownSuperblock
  extends Pick<GuestSuperblock, 'blocks' | 'groups' | 'inodesPerGroup' | 'firstMetaBlock'> {
  /** The group that it is in. */
  readonly group: number
  /** So many more are free. */
  readonly freeBlocks: number
}

/** Changes the size of a filesystem in a superblock that decodeGuestSuperblock has taken, and the checksum with it. */
export function growSuperblock(superblock: Buffer, grown: GrownSuperblock): void {
  const { blocks, groups, inodesPerGroup, firstMetaBlock, group, freeBlocks } = grown
  const inodes = groups * inodesPerGroup
  const free = superblock.readUInt32LE(0x0c) + superblock.readUInt32LE(0x158) * 2 ** 32 + freeBlocks
  superblock.writeUInt32LE(superblock.readUInt32LE(0x10) + inodes - superblock.readUInt32LE(0x00), 0x10)
  superblock.writeUInt32LE(inodes, 0x00)
  superblock.writeUInt32LE(blocks, 0x04)
  superblock.writeUInt32LE(free % 2 ** 32, 0x0c)
  superblock.writeUInt32LE(Math.floor(free / 2 ** 32), 0x158)
  superblock.writeUInt16LE(group, 0x5a)
  if (firstMetaBlock < Number.POSITIVE_INFINITY) {
    superblock.writeUInt32LE(superblock.readUInt32LE(0x60) | metaGroups, 0x60)
    superblock.writeUInt32LE(firstMetaBlock, 0x104)
  }
  // Blocks of metadata: the kernel counts them anew.
  superblock.writeUInt32LE(0, 0x248)
  superblock.writeUInt32LE(crc32c(superblock.subarray(0, 0x3fc)), 0x3fc)
}

function isSparse2(bytes: Buffer): boolean {
  return (bytes.readUInt32LE(0x5c) & sparseSuper2) !== 0
}

/**
 * Whether there is something in the journal that has to be replayed before the filesystem can be read: it was not unmounted.
 *
 * @throws Problem EXT4_INVALID for bytes that are no superblock with a checksum that is right
 */
export function needsReplay(superblock: Buffer): boolean {
  checkSuperblock(superblock)
  return (superblock.readUInt32LE(0x60) & needsRecovery) !== 0
}

function checkSuperblock(bytes: Buffer): void {
  if (bytes.length < superblockBytes || bytes.readUInt16LE(0x38) !== magic) {
    throw invalidExt4('it has no ext4 superblock')
  }
  if ((bytes.readUInt32LE(0x64) & metadataChecksums) === 0 || bytes.readUInt8(0x175) !== crc32cType) {
    throw invalidExt4('it has no checksums')
  }
  if (bytes.readUInt32LE(0x3fc) !== crc32c(bytes.subarray(0, 0x3fc))) {
    throw invalidExt4('the checksum of its superblock is wrong')
  }
}

function checkKind(bytes: Buffer): void {
  const replays = needsReplay(bytes)
  const incompat = bytes.readUInt32LE(0x60)
  const readOnlyCompat = bytes.readUInt32LE(0x64)
  if (replays) throw invalidExt4('its journal has to be replayed first')
  if ((bytes.readUInt16LE(0x3a) & 3) !== clean) throw invalidExt4('it was not unmounted cleanly, or has errors')
  const sizes = [bytes.readUInt32LE(0x14), bytes.readUInt32LE(0x18), bytes.readUInt32LE(0x1c), bytes.readUInt32LE(0x20)]
  const ours = [0, Math.log2(blockSize) - 10, Math.log2(blockSize) - 10, blocksPerGroup]
  const isKnown = (incompat & ~knownIncompat) === 0 && (readOnlyCompat & ~knownReadOnlyCompat) === 0
  if (!isKnown || sizes.some((size, at) => size !== ours[at])) throw invalidExt4('it was made by something else')
}

function backups(bytes: Buffer): (group: number) => boolean {
  if (isSparse2(bytes)) {
    const listed = [0, bytes.readUInt32LE(0x24c), bytes.readUInt32LE(0x250)]
    return (group) => listed.includes(group)
  }
  if ((bytes.readUInt32LE(0x64) & sparseSuper) === 0) return () => true
  return (group) => group <= 1 || [3, 5, 7].some((base) => isPower(group, base))
}

function isPower(value: number, base: number): boolean {
  let power = base
  while (power < value) power *= base
  return power === value
}
