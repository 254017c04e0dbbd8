import { blockSize } from '../erofs/tree.ts'
import type { Checksums } from './checksums.ts'
import { blocksPerGroup, descriptorBytes, groupOverhead, groupPlace } from './geometry.ts'

const flags = { inodesUninitialized: 1, blocksUninitialized: 2, inodeTableZeroed: 4 } as const

/** What is in use in a group. */
export interface GroupUse {
  readonly group: number
  readonly inodesPerGroup: number
  /** Blocks that it has: fewer in the last one. */
  readonly blocks: number
  /** Runs of blocks in use, counted from its first. */
  readonly usedBlocks: readonly (readonly [from: number, to: number])[]
  /** The first so many of its inodes. */
  readonly usedInodes: number
  readonly directories: number
  /** Blocks before its metadata: none unless told. */
  readonly head?: number
}

export interface EncodedGroup {
  readonly descriptor: Buffer
  /** undefined where the kernel works it out: the block may be a hole. */
  readonly blockBitmap: Buffer | undefined
  readonly inodeBitmap: Buffer | undefined
  readonly freeBlocks: number
}

/**
 * A group's descriptor and its bitmaps. Inode tables are said to be zeroed: they are holes, and a guest need not write zeros into them.
 *
 * @param bitmap whether the block bitmap is written although nothing but the group's own metadata is in it
 */
export function encodeGroup(use: GroupUse, checksums: Checksums, bitmap: 'written' | 'implied'): EncodedGroup {
  const { group, inodesPerGroup, usedInodes } = use
  const blockBitmap = bitmap === 'written' ? blockBitmapOf(use) : undefined
  const inodeBitmap = usedInodes === 0 ? undefined : bitmapOf([[0, usedInodes]], inodesPerGroup)
  const freeBlocks = use.blocks - use.usedBlocks.reduce((sum, [from, to]) => sum + to - from, 0)
  const place = groupPlace(group, inodesPerGroup, use.head)
  const out = Buffer.alloc(descriptorBytes)
  out.writeUInt32LE(place.blockBitmap, 0x00)
  out.writeUInt32LE(place.inodeBitmap, 0x04)
  out.writeUInt32LE(place.inodeTable, 0x08)
  out.writeUInt16LE(freeBlocks, 0x0c)
  out.writeUInt16LE(inodesPerGroup - usedInodes, 0x0e)
  out.writeUInt16LE(use.directories, 0x10)
  const uninitialized =
    (inodeBitmap === undefined ? flags.inodesUninitialized : 0) |
    (blockBitmap === undefined ? flags.blocksUninitialized : 0)
  out.writeUInt16LE(flags.inodeTableZeroed | uninitialized, 0x12)
  out.writeUInt16LE(inodesPerGroup - usedInodes, 0x1c)
  if (blockBitmap !== undefined) setBlockBitmapChecksum(out, checksums.ofBitmap(blockBitmap))
  if (inodeBitmap !== undefined) {
    const checksum = checksums.ofBitmap(inodeBitmap.subarray(0, inodesPerGroup / 8))
    out.writeUInt16LE(checksum & 0xffff, 0x1a)
    out.writeUInt16LE(checksum >>> 16, 0x3a)
  }
  checksums.sealDescriptor(out, group)
  return { descriptor: out, blockBitmap, inodeBitmap, freeBlocks }
}

/** The use of a group that holds nothing yet. */
export function emptyGroup(
  group: number,
  { blocks, inodesPerGroup, head = 0 }: Pick<GroupUse, 'blocks' | 'inodesPerGroup' | 'head'>,
) {
  const usedBlocks = [[0, head + groupOverhead(inodesPerGroup)]] as const
  return { group, inodesPerGroup, blocks, usedBlocks, usedInodes: 0, directories: 0, head }
}

/** Blocks of a group that are in use from now on, in its descriptor and bitmap. */
export function useMoreBlocks(
  {
    descriptor,
    blockBitmap,
    group,
  }: { readonly descriptor: Buffer; readonly blockBitmap: Buffer; readonly group: number },
  [from, to]: readonly [number, number],
  checksums: Checksums,
): void {
  fillBits(blockBitmap, from, to)
  descriptor.writeUInt16LE(descriptor.readUInt16LE(0x0c) - (to - from), 0x0c)
  setBlockBitmapChecksum(descriptor, checksums.ofBitmap(blockBitmap))
  checksums.sealDescriptor(descriptor, group)
}

interface GroupToGrow {
  readonly descriptor: Buffer
  /** undefined of one that the kernel works out. */
  readonly blockBitmap: Buffer | undefined
  readonly group: number
}

/** Blocks that a group has from now on and that are free, in its descriptor and bitmap. */
export function freeMoreBlocks(
  { descriptor, blockBitmap, group }: GroupToGrow,
  [from, to]: readonly [number, number],
  checksums: Checksums,
): void {
  descriptor.writeUInt16LE(descriptor.readUInt16LE(0x0c) + (to - from), 0x0c)
  if (blockBitmap !== undefined) {
    for (let bit = from; bit < to; bit++) blockBitmap[bit >> 3] = (blockBitmap[bit >> 3] ?? 0) & ~(1 << (bit & 7))
    setBlockBitmapChecksum(descriptor, checksums.ofBitmap(blockBitmap))
  }
  checksums.sealDescriptor(descriptor, group)
}

function setBlockBitmapChecksum(descriptor: Buffer, checksum: number): void {
  descriptor.writeUInt16LE(checksum & 0xffff, 0x18)
  descriptor.writeUInt16LE(checksum >>> 16, 0x38)
}

function blockBitmapOf({ usedBlocks, blocks }: GroupUse): Buffer {
  return bitmapOf(usedBlocks, blocks)
}

/** A block of bits; those from `end` on, which stand for nothing, are set. */
function bitmapOf(runs: GroupUse['usedBlocks'], end: number): Buffer {
  const bits = Buffer.alloc(blockSize)
  for (const [from, to] of runs) fillBits(bits, from, to)
  fillBits(bits, end, blocksPerGroup)
  return bits
}

function fillBits(bits: Buffer, from: number, to: number): void {
  for (let bit = from; bit < to; bit++) bits[bit >> 3] = (bits[bit >> 3] ?? 0) | (1 << (bit & 7))
}
