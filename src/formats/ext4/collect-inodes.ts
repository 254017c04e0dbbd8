import { nameComplaint, nodeComplaint } from '../erofs/check-node.ts'
import { type ByteName, blockSize, type DirectoryNode, type TreeNode } from '../erofs/tree.ts'
import { directoryBody, type PlannedEntry } from './directory-blocks.ts'
import { firstInode, rootInode } from './geometry.ts'
import { storableTime } from './inode-times.ts'
import { unstorable } from './invalid-ext4.ts'
import { placeXattrs } from './place-xattrs.ts'
import type { Body, PlannedInode } from './planned-inode.ts'

/** Where the image differs from the tree, because ext4 has no place for something. */
export interface Adjustment {
  readonly path: ByteName
  readonly what: string
}

export interface CollectedTree {
  /** By rising number: the root, then from `firstInode` on without a gap. */
  readonly inodes: readonly PlannedInode[]
  readonly adjustments: readonly Adjustment[]
}

/** Links that a file can have; only those of directories need not be counted. */
const mostLinks = 65_000
/** A shorter target is in the inode itself. */
const targetInInode = 59
const lostAndFound = 'lost+found'

/**
 * Lists every inode of a tree once, in an order that depends on the tree alone: the root; then, directory by directory in depth-first order, all
 * that a directory names and no earlier one did, by the bytes of the names. A tree without lost+found gets one, where e2fsck puts what it finds.
 *
 * @throws Problem EXT4_INVALID for whatever ext4 cannot hold
 */
export function collectInodes(tree: DirectoryNode): CollectedTree {
  const root = withLostAndFound(tree)
  const collector: Collector = { inodes: [], adjustments: [], byNode: new Map() }
  const first = addInode(collector, root, () => '')
  const pending: Level[] = [{ directory: root, inode: first, parent: first }]
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    // One by one: a call has no room for as many arguments as a directory may have directories.
    for (const level of collectDirectory(collector, next).reverse()) pending.push(level)
  }
  for (const inode of collector.inodes) checkLinks(inode)
  return collector
}

interface Collector {
  readonly inodes: PlannedInode[]
  readonly adjustments: Adjustment[]
  readonly byNode: Map<TreeNode, PlannedInode>
}

interface Level {
  readonly directory: DirectoryNode
  readonly inode: PlannedInode
  readonly parent: PlannedInode
}

function withLostAndFound(root: DirectoryNode): DirectoryNode {
  if (root.children.has(lostAndFound)) return root
  const { mtimeSeconds, mtimeNanoseconds } = root
  const own: DirectoryNode = {
    ...{ kind: 'directory', mode: 0o700, uid: 0, gid: 0, mtimeSeconds, mtimeNanoseconds },
    ...{ xattrs: [], children: new Map() },
  }
  return { ...root, children: new Map([...root.children, [lostAndFound, own]]) }
}

/** Plans a directory's entries and the inodes that are new in them; returns the directories among these. */
function collectDirectory(collector: Collector, { directory, inode, parent }: Level): Level[] {
  const below: Level[] = []
  const entries: PlannedEntry[] = [
    { name: '.', inode },
    { name: '..', inode: parent },
  ]
  for (const name of [...directory.children.keys()].sort()) {
    const node = directory.children.get(name)
    if (node === undefined) continue
    const child = linkChild(collector, node, { directory: inode, name })
    if (node.kind === 'directory') below.push({ directory: node, inode: child, parent: inode })
    entries.push({ name, inode: child })
  }
  inode.links += below.length
  inode.body = directoryBody(entries)
  inode.size = inode.body.blocks * blockSize
  return below
}

function linkChild(
  collector: Collector,
  node: TreeNode,
  { directory, name }: { readonly directory: PlannedInode; readonly name: ByteName },
): PlannedInode {
  const path = () => (directory.path() === '' ? name : `${directory.path()}/${name}`)
  refuse(nameComplaint(name), path)
  const known = collector.byNode.get(node)
  if (known === undefined) return addInode(collector, node, path)
  if (node.kind === 'directory') refuse(`it is the directory /${known.path()} under a second name`, path)
  known.links++
  return known
}

function addInode({ inodes, adjustments, byNode }: Collector, node: TreeNode, path: () => ByteName): PlannedInode {
  refuse(nodeComplaint(node) ?? dataComplaint(node), path)
  const adjust = (what: string) => adjustments.push({ path: path(), what })
  const inode: PlannedInode = {
    ino: inodes.length === 0 ? rootInode : firstInode + inodes.length - 1,
    kind: node.kind,
    attributes: { ...node, ...adjustedTime(node, adjust) },
    path,
    xattrs: placeXattrs(node.xattrs, path, (name, why) =>
      adjust(`the xattr ${JSON.stringify(name)} is left out: ${why}`),
    ),
    size: node.kind === 'symlink' ? node.target.length : node.kind === 'file' ? node.size : 0,
    links: node.kind === 'directory' ? 2 : 1,
    body: bodyOf(node),
    data: node.kind === 'file' && node.data.kind === 'blocks' && node.size > 0 ? node.data : undefined,
    inPlace: inPlaceOf(node),
    extents: [],
    extentRoot: undefined,
    treeBlocks: [],
    xattrBlock: undefined,
  }
  inodes.push(inode)
  byNode.set(node, inode)
  return inode
}

function dataComplaint(node: TreeNode): string | undefined {
  const isCompressed = node.kind === 'file' && node.data.kind === 'compressed'
  return isCompressed ? 'its data is compressed' : undefined
}

function adjustedTime({ mtimeSeconds, mtimeNanoseconds }: TreeNode, adjust: (what: string) => void) {
  const { seconds, nanoseconds } = storableTime({ seconds: mtimeSeconds, nanoseconds: mtimeNanoseconds })
  if (seconds !== mtimeSeconds) adjust(`its time, ${mtimeSeconds} s, is out of the range of ext4`)
  return { mtimeSeconds: seconds, mtimeNanoseconds: nanoseconds }
}

function bodyOf(node: TreeNode): Body | undefined {
  if (node.kind === 'symlink' && node.target.length > targetInInode) return bytesBody(node.target)
  return node.kind === 'file' && node.data.kind === 'inline' ? bytesBody(node.data.bytes) : undefined
}

function bytesBody(bytes: Buffer): Body {
  return {
    blocks: Math.ceil(bytes.length / blockSize),
    block: (index) => {
      const block = Buffer.alloc(blockSize)
      bytes.copy(block, 0, index * blockSize)
      return block
    },
  }
}

function inPlaceOf(node: TreeNode): Buffer | undefined {
  if (node.kind === 'symlink') return node.target.length > targetInInode ? undefined : node.target
  if (node.kind === 'char' || node.kind === 'block') return deviceNumber(node)
  return node.kind === 'fifo' || node.kind === 'socket' ? Buffer.alloc(0) : undefined
}

/** Small numbers in the first word, as they always were; others in the second. @see the kernel's include/linux/kdev_t.h */
function deviceNumber({ major, minor }: { readonly major: number; readonly minor: number }): Buffer {
  const words = Buffer.alloc(8)
  if (major < 256 && minor < 256) words.writeUInt32LE((major << 8) | minor, 0)
  else words.writeUInt32LE(((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0, 4)
  return words
}

function checkLinks({ kind, links, path }: PlannedInode): void {
  if (kind !== 'directory' && links > mostLinks) refuse(`it has ${links} names, more than ${mostLinks}`, path)
}

function refuse(why: string | undefined, path: () => ByteName): void {
  if (why !== undefined) throw unstorable(path(), why)
}
