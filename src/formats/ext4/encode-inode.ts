import { blockSize } from '../erofs/tree.ts'
import { typeBits } from '../type-bits.ts'
import { inodeBytes } from './geometry.ts'
import { type InodeTime, timeWords } from './inode-times.ts'
import type { PlannedInode } from './planned-inode.ts'

const usesExtents = 0x80000
/** Bytes of the fields behind the first 128. */
const extraBytes = 32
const fixedBytes = 128 + extraBytes
/** A directory whose links cannot be counted any more says 1 (dir_nlink). */
const mostLinks = 65_000

/**
 * The 256 bytes of an inode, still without its checksum. All its times are its modification time.
 *
 * @see https://docs.kernel.org/filesystems/ext4/dynamic.html#index-nodes
 */
export function encodeInode(inode: PlannedInode): Buffer {
  const { attributes, kind, size, links, extentRoot, inPlace, xattrs, xattrBlock } = inode
  const out = Buffer.alloc(inodeBytes)
  out.writeUInt16LE(typeBits[kind] | attributes.mode, 0x00)
  out.writeUInt16LE(attributes.uid & 0xffff, 0x02)
  out.writeUInt32LE(size >>> 0, 0x04)
  out.writeUInt16LE(attributes.gid & 0xffff, 0x18)
  out.writeUInt16LE(links > mostLinks ? 1 : links, 0x1a)
  writeSectors(out, sectorsOf(inode))
  out.writeUInt32LE(extentRoot === undefined ? 0 : usesExtents, 0x20)
  ;(extentRoot ?? inPlace)?.copy(out, 0x28)
  out.writeUInt32LE(xattrBlock ?? 0, 0x68)
  out.writeUInt32LE(Math.floor(size / 2 ** 32), 0x6c)
  out.writeUInt16LE(attributes.uid >>> 16, 0x78)
  out.writeUInt16LE(attributes.gid >>> 16, 0x7a)
  out.writeUInt16LE(extraBytes, 0x80)
  writeTimes(out, { seconds: attributes.mtimeSeconds, nanoseconds: attributes.mtimeNanoseconds })
  xattrs.inInode?.copy(out, fixedBytes)
  return out
}

/** Access, change, modification, creation. */
function writeTimes(out: Buffer, time: InodeTime): void {
  const { low, extra } = timeWords(time)
  for (const at of [0x08, 0x0c, 0x10, 0x90]) out.writeUInt32LE(low, at)
  for (const at of [0x8c, 0x84, 0x88, 0x94]) out.writeUInt32LE(extra, at)
}

/** Of all its blocks, in units of 512 bytes. */
function sectorsOf({ extents, treeBlocks, xattrBlock }: PlannedInode): number {
  const own = extents.reduce((sum, { blocks }) => sum + blocks, 0)
  return (own + treeBlocks.length + (xattrBlock === undefined ? 0 : 1)) * (blockSize / 512)
}

function writeSectors(out: Buffer, sectors: number): void {
  out.writeUInt32LE(sectors >>> 0, 0x1c)
  out.writeUInt16LE(Math.floor(sectors / 2 ** 32), 0x74)
}
