import { crc32c } from './crc32c.ts'
import { deviceSlotBytes, headOf, type ImageKind, superblockBytes, superblockOffset } from './image-kind.ts'
import { readInt64, readUInt64, writeInt64 } from './integers.ts'
import { invalidImage } from './invalid.ts'
import { blockSize } from './tree.ts'

/** Of the bitmap of algorithms. */
const lz4Bit = 0x1
const magic = 0xe0f5e1e2
/** feature_compat: the superblock has a checksum; times of inodes are modification times. */
const compat = { checksum: 1, mtime: 2 } as const
/**
 * feature_incompat bits that are understood, and what the others are called. Bit 1 means two things: clusters of several blocks, and a table of
 * compression algorithms behind the superblock.
 */
export const incompat = { zeroPadding: 0x1, bigClusters: 0x2, chunkedFile: 0x4, deviceTable: 0x8 } as const
const understood = incompat.zeroPadding | incompat.bigClusters | incompat.chunkedFile | incompat.deviceTable
const otherFeatures = new Map([
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
  /** Blocks that a cluster of a compressed file may have: 0 when nothing may be compressed, 16 stands for any number. */
  readonly largestCluster: 0 | 1 | 16
  /** Whether the data is on other devices. */
  readonly isSplit: boolean
  /** Devices besides the first, and where their table is, in bytes from the image's start. */
  readonly devices: { readonly count: number; readonly tableAt: number }
}

/**
 * The 128 bytes of a superblock. A plain image has no feature that a kernel 5.4 does not know. The checksum is still 0, because it covers
 * all of block 0: `sealFirstBlock` sets it when the block is complete.
 */
export function encodeSuperblock(image: {
  readonly rootNid: number
  readonly inodes: number
  readonly epochSeconds: number
  readonly epochNanoseconds: number
  readonly blocks: number
  readonly uuid: Buffer
  readonly kind: ImageKind
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
  encodeFeatures(bytes, image.kind)
  return bytes
}

/** Without the table of algorithms the 16 bits at 84 are the largest distance of an LZ4 match, where 0 is the usual 65535. */
function encodeFeatures(bytes: Buffer, kind: ImageKind): void {
  const { clusterBlocks, devices } = kind
  const compressed = clusterBlocks === undefined ? 0 : incompat.zeroPadding
  const big = clusterBlocks === 16 ? incompat.bigClusters : 0
  const split = devices === undefined ? 0 : incompat.deviceTable
  bytes.writeUInt32LE(compressed | big | split, 80)
  if (big !== 0) bytes.writeUInt16LE(lz4Bit, 84)
  if (devices === undefined) return
  bytes.writeUInt16LE(devices, 86)
  bytes.writeUInt16LE(headOf(kind).devicesAt / deviceSlotBytes, 88)
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
 * @throws Problem EROFS_INVALID when it is none, or needs a feature that is not supported
 */
export function decodeSuperblock(bytes: Buffer): Superblock {
  if (bytes.length < superblockBytes || bytes.readUInt32LE(0) !== magic)
    throw invalidImage('it has no erofs superblock')
  const features = { compat: bytes.readUInt32LE(8), incompat: bytes.readUInt32LE(80) }
  refuseUnknownFeatures(features.incompat)
  if ((features.incompat & incompat.bigClusters) !== 0 && (bytes.readUInt16LE(84) & ~lz4Bit) !== 0)
    throw invalidImage('it is compressed in another way than with LZ4, which is all that is supported')
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
    largestCluster: largestCluster(features.incompat),
    isSplit: (features.incompat & incompat.deviceTable) !== 0,
    devices: devicesOf(bytes, features.incompat),
  }
}

function largestCluster(features: number): Superblock['largestCluster'] {
  if ((features & incompat.zeroPadding) === 0) return 0
  return (features & incompat.bigClusters) === 0 ? 1 : 16
}

function devicesOf(bytes: Buffer, features: number): Superblock['devices'] {
  if ((features & incompat.deviceTable) === 0) return { count: 0, tableAt: 0 }
  return { count: bytes.readUInt16LE(86), tableAt: bytes.readUInt16LE(88) * deviceSlotBytes }
}

function refuseUnknownFeatures(features: number): void {
  const unknown = features & ~understood
  if (unknown === 0) return
  const names = Array.from({ length: 32 }, (_, bit) => 2 ** bit)
    .filter((bit) => (unknown & bit) !== 0)
    .map((bit) => otherFeatures.get(bit) ?? `feature 0x${bit.toString(16)}`)
  throw invalidImage(`it needs what is not supported: ${names.join(', ')}`)
}

function exactly(value: number | undefined, what: string): number {
  if (value === undefined) throw invalidImage(`its ${what} is out of range`)
  return value
}
