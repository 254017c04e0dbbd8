import {
  compactBytes,
  dataLayout,
  encodeDevice,
  encodeInodeCore,
  extendedBytes,
  noBlock,
  typeBits,
} from './inode-core.ts'
import { contentBytes } from './place-inodes.ts'
import type { PlannedInode } from './planned-inode.ts'
import { blockSize, type TreeNode } from './tree.ts'
import { encodeXattrArea, xattrAreaBytes, xattrCountOf } from './xattr-area.ts'

/**
 * The bytes of an inode in its place: fixed part, xattrs, and the tail of its body where it has one there.
 *
 * @param startBlock first block of its content; undefined when no whole block belongs to it
 */
export function encodeInode(inode: PlannedInode, startBlock: number | undefined): Buffer {
  const { node, place, body } = inode
  const coreBytes = place.extended ? extendedBytes : compactBytes
  const areaBytes = xattrAreaBytes(inode.xattrs)
  const tail = place.inlineTail ? body?.block(Math.floor(body.size / blockSize)) : undefined
  const out = Buffer.alloc(coreBytes + areaBytes + (tail?.length ?? 0))
  encodeInodeCore(out, {
    extended: place.extended,
    layout: place.inlineTail ? dataLayout.flatInline : dataLayout.flatPlain,
    xattrCount: xattrCountOf(areaBytes),
    mode: typeBits[node.kind] | node.mode,
    links: inode.links,
    size: contentBytes(node, body?.size),
    union: unionOf(node, startBlock),
    ino: inode.ino,
    uid: node.uid,
    gid: node.gid,
    mtimeSeconds: node.mtimeSeconds,
    mtimeNanoseconds: node.mtimeNanoseconds,
  })
  encodeXattrArea(out, coreBytes, inode.xattrs)
  tail?.copy(out, coreBytes + areaBytes)
  return out
}

function unionOf(node: TreeNode, startBlock: number | undefined): number {
  switch (node.kind) {
    case 'char':
    case 'block':
      return encodeDevice(node.major, node.minor)
    case 'fifo':
    case 'socket':
      return 0
    default:
      return startBlock ?? noBlock
  }
}
