import { blockSize } from '../erofs/tree.ts'
import type { Checksums } from './checksums.ts'
import { blocksOfDescriptors, descriptorsPerBlock, placesOfDescriptors } from './descriptor-table.ts'
import { blocksPerGroup, type Extent } from './geometry.ts'
import type { GuestSuperblock } from './guest-superblock.ts'
import { invalidExt4 } from './invalid-ext4.ts'

/** Reads from a disk; fewer bytes at its end. */
export type ReadDisk = (offset: number, length: number) => Buffer

/** What a descriptor says of a group. */
export interface Group {
  readonly number: number
  readonly descriptor: Buffer
  readonly blockBitmap: number
  readonly inodeBitmap: number
  readonly inodeTable: number
  readonly freeBlocks: number
  /** BLOCK_UNINIT: nothing but metadata is in it, and its bitmap was never written. */
  readonly isImplied: boolean
}

const blocksUninitialized = 2

/** The groups of a filesystem that a guest has written to. @throws Problem EXT4_INVALID when a checksum is wrong */
export function readGroups(superblock: GuestSuperblock, checksums: Checksums, read: ReadDisk): Group[] {
  const { groups, descriptorBytes } = superblock
  const blocks = Array.from({ length: blocksOfDescriptors(superblock) }, (_, nth) => {
    const [place = 0] = placesOfDescriptors(superblock, nth)
    return read(place * blockSize, blockSize)
  })
  const perBlock = descriptorsPerBlock(superblock)
  return Array.from({ length: groups }, (_, number) => {
    const at = (number % perBlock) * descriptorBytes
    const descriptor = Buffer.from(blocks[Math.floor(number / perBlock)]?.subarray(at, at + descriptorBytes) ?? [])
    if (descriptor.length < descriptorBytes) throw invalidExt4('its group descriptors are cut off')
    if (descriptor.readUInt16LE(0x1e) !== checksums.ofDescriptor(descriptor, number)) {
      throw invalidExt4(`the checksum of group ${number} is wrong`)
    }
    return groupOf(descriptor, number)
  })
}

function groupOf(descriptor: Buffer, number: number): Group {
  const is64 = descriptor.length === 64
  const high = (at: number) => (is64 ? descriptor.readUInt32LE(at) * 2 ** 32 : 0)
  return {
    number,
    descriptor,
    blockBitmap: descriptor.readUInt32LE(0x00) + high(0x20),
    inodeBitmap: descriptor.readUInt32LE(0x04) + high(0x24),
    inodeTable: descriptor.readUInt32LE(0x08) + high(0x28),
    freeBlocks: descriptor.readUInt16LE(0x0c) + (is64 ? descriptor.readUInt16LE(0x2c) * 2 ** 16 : 0),
    isImplied: (descriptor.readUInt16LE(0x12) & blocksUninitialized) !== 0,
  }
}

/** The blocks of a group: fewer in the last one. */
export function wholeGroup({ blocks }: Pick<GuestSuperblock, 'blocks'>, group: number): Extent {
  const block = group * blocksPerGroup
  return { block, blocks: Math.min(blocksPerGroup, blocks - block) }
}

/** The block bitmap of a group that has one. @throws Problem EXT4_INVALID when its checksum is wrong */
export function readBlockBitmap(group: Group, checksums: Checksums, read: ReadDisk): Buffer {
  const bits = read(group.blockBitmap * blockSize, blockSize)
  if (bits.length < blockSize) throw invalidExt4(`the bitmap of group ${group.number} is cut off`)
  if (!isChecksumRight(group.descriptor, checksums.ofBitmap(bits))) {
    throw invalidExt4(`the checksum of the bitmap of group ${group.number} is wrong`)
  }
  return bits
}

function isChecksumRight(descriptor: Buffer, checksum: number): boolean {
  const low = descriptor.readUInt16LE(0x18) === (checksum & 0xffff)
  return low && (descriptor.length < 64 || descriptor.readUInt16LE(0x38) === checksum >>> 16)
}
