import { closeSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs'
import { blockSize, type DirectoryNode, type TreeNode, type Xattr } from '../erofs/tree.ts'
import { growExt4 } from './grow-ext4.ts'
import { type Ext4Image, type Ext4Piece, layoutExt4 } from './layout-ext4.ts'

export const uuid = Buffer.from('00112233445566778899aabbccddeeff', 'hex')
export const hashSeed = Buffer.from('ffeeddccbbaa99887766554433221100', 'hex')

export interface TreeAndBlob {
  readonly root: DirectoryNode
  /** What there is of its only data blob: the rest is a hole. */
  readonly blob: Buffer
  readonly blobBlocks?: number
}

/** A tree as an image in a file, which is made anew. */
export function writeExt4(path: string, tree: TreeAndBlob): Ext4Image {
  const { root, blob, blobBlocks = blob.length / blockSize } = tree
  const image = layoutExt4(root, { uuid, hashSeed, blobBlocks: [blobBlocks] })
  const fd = openSync(path, 'w')
  try {
    ftruncateSync(fd, image.bytes)
    writePieces(fd, image.pieces())
    for (const { blobBlock, block, blocks } of image.runs) {
      const bytes = blob.subarray(blobBlock * blockSize, (blobBlock + blocks) * blockSize)
      writeSync(fd, bytes, 0, bytes.length, block * blockSize)
    }
  } finally {
    closeSync(fd)
  }
  return image
}

/** One file of this size, of which nothing was ever written. */
export function treeWithOneFile(bytes: number): { root: DirectoryNode; blob: Buffer; blobBlocks: number } {
  const plain = { mode: 0o755, uid: 0, gid: 0, mtimeSeconds: 0, mtimeNanoseconds: 0, xattrs: [] }
  const large: TreeNode = { ...plain, kind: 'file', size: bytes, data: { kind: 'blocks', blob: 0, startBlock: 0 } }
  const root: DirectoryNode = { ...plain, kind: 'directory', children: new Map([['large', large]]) }
  return { root, blob: Buffer.alloc(0), blobBlocks: Math.ceil(bytes / blockSize) }
}

/** Makes the filesystem in a file this large. */
export function growInFile(path: string, bytes: number): void {
  const fd = openSync(path, 'r+')
  try {
    const read = (offset: number, length: number) => {
      const into = Buffer.alloc(length)
      readSync(fd, into, 0, length, offset)
      return into
    }
    const pieces = growExt4({ bytes, read })
    ftruncateSync(fd, bytes)
    writePieces(fd, pieces)
  } finally {
    closeSync(fd)
  }
}

function writePieces(fd: number, pieces: Iterable<Ext4Piece>): void {
  for (const { offset, bytes } of pieces) writeSync(fd, bytes, 0, bytes.length, offset)
}

/** What of a tree an ext4 can hold, and must then show: xattrs that fit one block, times up to 2446. */
export function storableTree(root: DirectoryNode): DirectoryNode {
  const seen = new Map<TreeNode, TreeNode>()
  const storable = (node: TreeNode): TreeNode => {
    const known = seen.get(node)
    if (known !== undefined) return known
    const xattrs = fitting(node.xattrs)
    const made = { ...node, ...clamped(node), xattrs }
    if (made.kind === 'directory') {
      const children = new Map<string, TreeNode>()
      seen.set(node, { ...made, children })
      if (node.kind === 'directory') for (const [name, child] of node.children) children.set(name, storable(child))
      return seen.get(node) ?? made
    }
    seen.set(node, made)
    return made
  }
  return storable(root) as DirectoryNode
}

function fitting(xattrs: readonly Xattr[]): Xattr[] {
  let room = 3900
  return xattrs.filter(({ name, value }) => {
    const bytes = name.length + value.length + 24
    if (bytes > room) return false
    room -= bytes
    return true
  })
}

function clamped({ mtimeSeconds, mtimeNanoseconds }: TreeNode) {
  const [earliest, latest] = [-2147483648, 15032385535]
  if (mtimeSeconds >= earliest && mtimeSeconds < latest) return { mtimeSeconds, mtimeNanoseconds }
  return { mtimeSeconds: mtimeSeconds < 0 ? earliest : latest, mtimeNanoseconds: 0 }
}
