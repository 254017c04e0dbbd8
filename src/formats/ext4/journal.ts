import { blockSize } from '../erofs/tree.ts'
import { journalInode } from './geometry.ts'
import { noXattrs } from './place-xattrs.ts'
import type { PlannedInode } from './planned-inode.ts'

/** 16 MiB, which a filesystem of 128 MiB bears and one of several GiB can work with. */
const journalBlocks = 4096
const magic = 0xc03b3998
const superblockVersion2 = 4

/** The inode of the journal; placing it is like placing a file. Only its first block has content: the rest may be a hole. */
export function journalPlan(): PlannedInode {
  const attributes = { mode: 0o600, uid: 0, gid: 0, mtimeSeconds: 0, mtimeNanoseconds: 0, xattrs: [] }
  return {
    ...{ ino: journalInode, kind: 'file', attributes, path: () => '', xattrs: noXattrs },
    ...{ size: journalBlocks * blockSize, links: 1, data: undefined, inPlace: undefined },
    body: { blocks: journalBlocks, block: emptyJournal, holesAfterFirst: true },
    ...{ extents: [], extentRoot: undefined, treeBlocks: [], xattrBlock: undefined },
  }
}

/** A journal with nothing in it. All of jbd2 is big-endian. @see https://docs.kernel.org/filesystems/ext4/journal.html */
function emptyJournal(): Buffer {
  const block = Buffer.alloc(blockSize)
  block.writeUInt32BE(magic, 0x00)
  block.writeUInt32BE(superblockVersion2, 0x04)
  block.writeUInt32BE(blockSize, 0x0c)
  block.writeUInt32BE(journalBlocks, 0x10)
  // The log begins behind this block, with transaction 1.
  block.writeUInt32BE(1, 0x14)
  block.writeUInt32BE(1, 0x18)
  // One filesystem uses it.
  block.writeUInt32BE(1, 0x40)
  return block
}
