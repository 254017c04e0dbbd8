import { typeBits } from '../type-bits.ts'
import { bodyOf } from './body-of.ts'
import { encodeExtentIndex, indexOffset } from './extent-index.ts'
import { compactBytes, dataLayout, encodeDevice, encodeInodeCore, extendedBytes, noBlock } from './inode-core.ts'
import { contentBytes } from './place-inodes.ts'
import type { PlannedInode } from './planned-inode.ts'
import { blockSize, isCompressed, type TreeNode } from './tree.ts'
import { encodeXattrArea, xattrAreaBytes, xattrCountOf } from './xattr-area.ts'

export interface EncodeInode {
  /** First block of its content; undefined when no whole block belongs to it. */
  readonly startBlock: number | undefined
  /** Whether clusters of this image may have more than one block. */
  readonly bigClusters: boolean
}

/** The bytes of an inode in its place: fixed part, xattrs, and what follows them: the tail of its body, or the index of its extents. */
export function encodeInode(inode: PlannedInode, { startBlock, bigClusters }: EncodeInode): Buffer {
  const { node, place } = inode
  const body = bodyOf(inode)
  const coreBytes = place.extended ? extendedBytes : compactBytes
  const areaBytes = xattrAreaBytes(inode.xattrs)
  const tail = place.inlineTail ? body?.block(Math.floor(body.size / blockSize)) : undefined
  const index = isCompressed(node)
    ? encodeExtentIndex({ size: node.size, extents: node.data.extents, firstBlock: startBlock ?? 0, bigClusters })
    : undefined
  const follows = index === undefined ? coreBytes + areaBytes : indexOffset(coreBytes + areaBytes)
  const out = Buffer.alloc(follows + (tail ?? index ?? noBytes).length)
  encodeInodeCore(out, {
    extended: place.extended,
    layout: layoutOf(inode),
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
  tail?.copy(out, follows)
  index?.copy(out, follows)
  return out
}

const noBytes = Buffer.alloc(0)

function layoutOf({ node, place }: PlannedInode): number {
  if (isCompressed(node)) return dataLayout.compressedFull
  return place.inlineTail ? dataLayout.flatInline : dataLayout.flatPlain
}

function unionOf(node: TreeNode, startBlock: number | undefined): number {
  switch (node.kind) {
    case 'char':
    case 'block':
      return encodeDevice(node.major, node.minor)
    case 'fifo':
    case 'socket':
      return 0
    case 'file':
      return isCompressed(node) ? node.data.blocks : (startBlock ?? noBlock)
    default:
      return startBlock ?? noBlock
  }
}
