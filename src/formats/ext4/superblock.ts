import { crc32c } from '../erofs/crc32c.ts'
import { blockSize } from '../erofs/tree.ts'
import { blocksPerGroup, descriptorBytes, firstInode, inodeBytes, journalInode } from './geometry.ts'
import { invalidExt4 } from './invalid-ext4.ts'

export const superblockOffset = 1024
export const superblockBytes = 1024
export const magic = 0xef53

const compat = { hasJournal: 0x4, xattrs: 0x8, dirIndex: 0x20, sparseSuper2: 0x200 }
const incompat = { fileTypes: 0x2, extents: 0x40, bits64: 0x80, flexGroups: 0x200 }
const readOnlyCompat = { largeFile: 0x2, hugeFile: 0x8, dirLinks: 0x20, extraIsize: 0x40, metadataChecksums: 0x400 }
const features = {
  compat: sum(compat),
  incompat: sum(incompat),
  readOnlyCompat: sum(readOnlyCompat),
}

/** What changes with the size of a filesystem. */
export interface Counts {
  readonly blocks: number
  readonly freeBlocks: number
  readonly inodes: number
  readonly freeInodes: number
}

export interface Superblock extends Counts {
  readonly uuid: Buffer
  readonly inodesPerGroup: number
}

export interface NewSuperblock extends Superblock {
  /** 16 bytes: from which the hashes of directories that the guest makes begin. */
  readonly hashSeed: Buffer
  /** i_block of the journal's inode and its size: how e2fsck finds it when the inode is lost. */
  readonly journal: { readonly root: Buffer; readonly bytes: number }
}

/** When any of them was made, 2024-01-01: the same bytes for the same content. */
const madeAt = 1_704_067_200
const clean = 1
const onErrorsContinue = 1
const never = 0xffff
const mountOptions = { xattrs: 0x4, acl: 0x8 }
const crc32cType = 1
const halfMd4 = 1
const signedHash = 1
const backupOfExtents = 1

/** @see https://docs.kernel.org/filesystems/ext4/globals.html#super-block */
export function encodeSuperblock(image: NewSuperblock): Buffer {
  const out = Buffer.alloc(superblockBytes)
  out.writeUInt32LE(Math.log2(blockSize) - 10, 0x18)
  out.writeUInt32LE(Math.log2(blockSize) - 10, 0x1c)
  out.writeUInt32LE(blocksPerGroup, 0x20)
  out.writeUInt32LE(blocksPerGroup, 0x24)
  out.writeUInt32LE(image.inodesPerGroup, 0x28)
  out.writeUInt32LE(madeAt, 0x30)
  out.writeUInt16LE(never, 0x36)
  out.writeUInt16LE(magic, 0x38)
  out.writeUInt16LE(clean, 0x3a)
  out.writeUInt16LE(onErrorsContinue, 0x3c)
  out.writeUInt32LE(madeAt, 0x40)
  out.writeUInt32LE(1, 0x4c)
  out.writeUInt32LE(firstInode, 0x54)
  out.writeUInt16LE(inodeBytes, 0x58)
  out.writeUInt32LE(features.compat, 0x5c)
  out.writeUInt32LE(features.incompat, 0x60)
  out.writeUInt32LE(features.readOnlyCompat, 0x64)
  image.uuid.copy(out, 0x68, 0, 16)
  out.writeUInt32LE(journalInode, 0xe0)
  image.hashSeed.copy(out, 0xec, 0, 16)
  out.writeUInt8(halfMd4, 0xfc)
  out.writeUInt8(backupOfExtents, 0xfd)
  out.writeUInt16LE(descriptorBytes, 0xfe)
  out.writeUInt32LE(mountOptions.xattrs | mountOptions.acl, 0x100)
  out.writeUInt32LE(madeAt, 0x108)
  image.journal.root.copy(out, 0x10c)
  out.writeUInt32LE(image.journal.bytes, 0x10c + 64)
  out.writeUInt16LE(32, 0x15c)
  out.writeUInt16LE(32, 0x15e)
  out.writeUInt32LE(signedHash, 0x160)
  // Groups are taken 16 at a time when the kernel spreads directories.
  out.writeUInt8(4, 0x174)
  out.writeUInt8(crc32cType, 0x175)
  setCounts(out, image)
  return out
}

/** Changes the size of a filesystem in its superblock, and the checksum with it. */
export function setCounts(superblock: Buffer, { blocks, freeBlocks, inodes, freeInodes }: Counts): void {
  superblock.writeUInt32LE(inodes, 0x00)
  superblock.writeUInt32LE(blocks, 0x04)
  superblock.writeUInt32LE(freeBlocks, 0x0c)
  superblock.writeUInt32LE(freeInodes, 0x10)
  superblock.writeUInt32LE(checksumOf(superblock), 0x3fc)
}

/**
 * Reads a superblock as the writer makes it.
 *
 * @throws Problem EXT4_INVALID when it is none, is damaged, or is of a kind that the writer does not make
 */
export function decodeSuperblock(bytes: Buffer): Superblock {
  if (bytes.length < superblockBytes || bytes.readUInt16LE(0x38) !== magic) {
    throw invalidExt4('it has no ext4 superblock')
  }
  if (bytes.readUInt32LE(0x3fc) !== checksumOf(bytes)) throw invalidExt4('the checksum of its superblock is wrong')
  const found = { compat: bytes.readUInt32LE(0x5c), incompat: bytes.readUInt32LE(0x60) }
  const sizes = [bytes.readUInt32LE(0x18), bytes.readUInt32LE(0x20), bytes.readUInt16LE(0x58), bytes.readUInt16LE(0xfe)]
  const ours = [Math.log2(blockSize) - 10, blocksPerGroup, inodeBytes, descriptorBytes]
  const isOurs =
    found.compat === features.compat &&
    found.incompat === features.incompat &&
    bytes.readUInt32LE(0x64) === features.readOnlyCompat &&
    sizes.every((size, index) => size === ours[index])
  if (!isOurs) throw invalidExt4('it was made by something else')
  return {
    uuid: Buffer.from(bytes.subarray(0x68, 0x78)),
    inodesPerGroup: bytes.readUInt32LE(0x28),
    inodes: bytes.readUInt32LE(0x00),
    blocks: bytes.readUInt32LE(0x04),
    freeBlocks: bytes.readUInt32LE(0x0c),
    freeInodes: bytes.readUInt32LE(0x10),
  }
}

function checksumOf(superblock: Buffer): number {
  return crc32c(superblock.subarray(0, 0x3fc))
}

function sum(bits: Readonly<Record<string, number>>): number {
  return Object.values(bits).reduce((all, bit) => all | bit, 0)
}
