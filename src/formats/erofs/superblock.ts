import { crc32c } from './crc32c.ts'
import { readInt64, readUInt64, writeInt64 } from './integers.ts'
import { invalidImage } from './invalid.ts'
import { blockSize } from './tree.ts'

/** Bytes before the superblock are free for boot code; cowshed leaves them zero. */
export const superblockOffset = 1024
export const superblockBytes = 128

const magic = 0xe0f5e1e2
/** feature_compat: the superblock has a checksum; times of inodes are modification times. */
const compat = { checksum: 1, mtime: 2 } as const
/** feature_incompat bits that an image without compressed files may carry, and what the others are called. */
export const incompat = { zeroPadding: 0x1, chunkedFile: 0x4 } as const
const otherFeatures = new Map([
  [0x2, 'compression configurations'],
  [0x8, 'device table'],
  [0x10, 'inline compressed tails'],
  [0x20, 'fragments'],
  [0x40, 'long xattr prefixes'],
  [0x80, '48-bit layout'],
  [0x100, 'metabox'],
])

export interface Superblock {
  readonly blockSize: number
  readonly rootNid: number
  /** How many inodes there are. */
  readonly inodes: number
  /** The time of every compact inode. */
  readonly epochSeconds: number
  readonly epochNanoseconds: number
  /** Blocks of the whole image. */
  readonly blocks: number
  readonly metaBlock: number
  readonly xattrBlock: number
  readonly uuid: Buffer
  /** The stored checksum; undefined when the image has none. */
  readonly checksum: number | undefined
  readonly features: { readonly compat: number; readonly incompat: number }
}

/**
 * The 128 bytes of the superblock of a plain image: no feature that a kernel 5.4 does not know. The checksum is still 0, because it covers
 * all of block 0: `sealFirstBlock` sets it when the block is complete.
 */
export function encodeSuperblock(image: {
  readonly rootNid: number
  readonly inodes: number
  readonly epochSeconds: number
  readonly epochNanoseconds: number
  readonly blocks: number
  readonly uuid: Buffer
}): Buffer {
  const bytes = Buffer.alloc(superblockBytes)
  bytes.writeUInt32LE(magic, 0)
  bytes.writeUInt32LE(compat.checksum | compat.mtime, 8)
  bytes.writeUInt8(Math.log2(blockSize), 12)
  bytes.writeUInt16LE(image.rootNid, 14)
  writeInt64(bytes, image.inodes, 16)
  writeInt64(bytes, image.epochSeconds, 24)
  bytes.writeUInt32LE(image.epochNanoseconds, 32)
  bytes.writeUInt32LE(image.blocks, 36)
  image.uuid.copy(bytes, 48, 0, 16)
  return bytes
}

/** Sets the checksum in a complete block 0, in place. */
export function sealFirstBlock(block: Buffer): void {
  block.writeUInt32LE(checksumOf(block.subarray(0, checksumEnd(blockSize))), superblockOffset + 4)
}

/** How many bytes from the image's start hold all that the checksum covers. */
export function checksumEnd(imageBlockSize: number): number {
  // Blocks of 1 KiB and less hold no part of both boot area and superblock: the checksum then covers one block from the superblock on.
  return imageBlockSize > superblockOffset ? imageBlockSize : superblockOffset + imageBlockSize
}

/** What the checksum must be: over everything behind the boot area up to `checksumEnd`, with the checksum itself taken as 0. */
export function checksumOf(head: Buffer): number {
  const covered = Buffer.from(head.subarray(superblockOffset))
  covered.writeUInt32LE(0, 4)
  return crc32c(covered)
}

/**
 * Reads the 128 bytes of a superblock.
 *
 * @throws Problem EROFS_INVALID when it is none, or needs a feature that only compressed or multi-device images have
 */
export function decodeSuperblock(bytes: Buffer): Superblock {
  if (bytes.length < superblockBytes || bytes.readUInt32LE(0) !== magic)
    throw invalidImage('it has no erofs superblock')
  const features = { compat: bytes.readUInt32LE(8), incompat: bytes.readUInt32LE(80) }
  refuseUnknownFeatures(features.incompat)
  const bits = bytes.readUInt8(12)
  if (bits < 9 || bits > 16) throw invalidImage(`its block size is 2^${bits} bytes, which no kernel mounts`)
  if (bytes.readUInt8(90) !== 0) throw invalidImage('it has directory blocks of a size of their own')
  return {
    blockSize: 2 ** bits,
    rootNid: bytes.readUInt16LE(14),
    inodes: exactly(readUInt64(bytes, 16), 'inode count'),
    epochSeconds: exactly(readInt64(bytes, 24), 'build time'),
    epochNanoseconds: bytes.readUInt32LE(32),
    blocks: bytes.readUInt32LE(36),
    metaBlock: bytes.readUInt32LE(40),
    xattrBlock: bytes.readUInt32LE(44),
    uuid: Buffer.from(bytes.subarray(48, 64)),
    checksum: (features.compat & compat.checksum) === 0 ? undefined : bytes.readUInt32LE(4),
    features,
  }
}

function refuseUnknownFeatures(features: number): void {
  const unknown = features & ~(incompat.zeroPadding | incompat.chunkedFile)
  if (unknown === 0) return
  const names = Array.from({ length: 32 }, (_, bit) => 2 ** bit)
    .filter((bit) => (unknown & bit) !== 0)
    .map((bit) => otherFeatures.get(bit) ?? `feature 0x${bit.toString(16)}`)
  throw invalidImage(
    `it is not an uncompressed single-device image (${names.join(', ')}), which is all that is supported`,
  )
}

function exactly(value: number | undefined, what: string): number {
  if (value === undefined) throw invalidImage(`its ${what} is out of range`)
  return value
}
