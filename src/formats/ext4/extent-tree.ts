import { blockSize } from '../erofs/tree.ts'
import type { FileExtent, TreeBlock } from './planned-inode.ts'

const magic = 0xf30a
const headerBytes = 12
const entryBytes = 12
/** Entries that have room in an inode, and in a block beside its checksum. */
const inInode = 4
const inBlock = Math.floor((blockSize - headerBytes - 4) / entryBytes)
/** Where the checksum of a block is. */
export const extentTailOffset = headerBytes + inBlock * entryBytes

export interface ExtentTree {
  /** i_block, 60 bytes. */
  readonly root: Buffer
  readonly blocks: readonly TreeBlock[]
}

interface Entry {
  /** The first block of the file that it is about. */
  readonly logical: number
  write(out: Buffer, at: number): void
}

/**
 * The map from the blocks of a file to those of the image: runs in the inode itself, or in as many levels of blocks as it takes.
 *
 * @param extents by rising place in the file
 * @param takeBlock gives a block of the image for one of the tree
 * @see https://docs.kernel.org/filesystems/ext4/dynamic.html#extent-tree
 */
export function extentTree(extents: readonly FileExtent[], takeBlock: () => number): ExtentTree {
  const blocks: TreeBlock[] = []
  let entries = leaves(extents)
  let depth = 0
  for (; entries.length > inInode; depth++) {
    const above: Entry[] = []
    for (let first = 0; first < entries.length; first += inBlock) {
      const own = entries.slice(first, first + inBlock)
      const block = takeBlock()
      blocks.push({ block, bytes: encodeNode(own, { depth, room: inBlock, bytes: blockSize }) })
      above.push(branch(own[0]?.logical ?? 0, block))
    }
    entries = above
  }
  return { root: encodeNode(entries, { depth, room: inInode, bytes: headerBytes + inInode * entryBytes }), blocks }
}

function leaves(extents: readonly FileExtent[]): Entry[] {
  return extents.map(({ logical, block, blocks }) => ({
    logical,
    write: (out, at) => {
      out.writeUInt32LE(logical, at)
      out.writeUInt16LE(blocks, at + 4)
      out.writeUInt32LE(block, at + 8)
    },
  }))
}

function branch(logical: number, block: number): Entry {
  return {
    logical,
    write: (out, at) => {
      out.writeUInt32LE(logical, at)
      out.writeUInt32LE(block, at + 4)
    },
  }
}

function encodeNode(
  entries: readonly Entry[],
  { depth, room, bytes }: { readonly depth: number; readonly room: number; readonly bytes: number },
): Buffer {
  const out = Buffer.alloc(bytes)
  out.writeUInt16LE(magic, 0)
  out.writeUInt16LE(entries.length, 2)
  out.writeUInt16LE(room, 4)
  out.writeUInt16LE(depth, 6)
  for (const [index, entry] of entries.entries()) entry.write(out, headerBytes + index * entryBytes)
  return out
}
