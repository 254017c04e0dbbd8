import { fileTypes } from '../erofs/directory-blocks.ts'
import { alignUp } from '../erofs/integers.ts'
import { type ByteName, blockSize } from '../erofs/tree.ts'
import type { Body, PlannedInode } from './planned-inode.ts'

export interface PlannedEntry {
  readonly name: ByteName
  readonly inode: PlannedInode
}

const headBytes = 8
/** The end of a block looks like an entry without a name, and is its checksum. */
export const tailBytes = 12
const tailType = 0xde
const usable = blockSize - tailBytes

/** The content of a directory: `.`, `..`, then its names as they come, block by block. The checksums are still to be set. */
export function directoryBody(entries: readonly PlannedEntry[]): Body {
  const starts = packEntries(entries)
  return {
    blocks: starts.length,
    block: (index) => encodeBlock(entries.slice(starts[index], starts[index + 1])),
  }
}

/** The number of the first entry of each block. */
function packEntries(entries: readonly PlannedEntry[]): number[] {
  const starts = [0]
  let used = 0
  for (const [index, { name }] of entries.entries()) {
    const bytes = entryBytes(name)
    if (used + bytes > usable) {
      starts.push(index)
      used = 0
    }
    used += bytes
  }
  return starts
}

function encodeBlock(entries: readonly PlannedEntry[]): Buffer {
  const block = Buffer.alloc(blockSize)
  let at = 0
  for (const [index, { name, inode }] of entries.entries()) {
    // The last one has the rest of the block.
    const bytes = index === entries.length - 1 ? usable - at : entryBytes(name)
    block.writeUInt32LE(inode.ino, at)
    block.writeUInt16LE(bytes, at + 4)
    block.writeUInt8(name.length, at + 6)
    block.writeUInt8(fileTypes[inode.kind], at + 7)
    block.write(name, at + headBytes, 'latin1')
    at += bytes
  }
  block.writeUInt16LE(tailBytes, usable + 4)
  block.writeUInt8(tailType, usable + 7)
  return block
}

function entryBytes(name: ByteName): number {
  return alignUp(headBytes + name.length, 4)
}
