import { checkName, checkNode, checkXattrs } from './check-node.ts'
import { directoryBody } from './directory-body.ts'
import { extentIndexBytes } from './extent-index.ts'
import { invalidTree } from './invalid.ts'
import { type PlannedEntry, type PlannedInode, pathOf, unplaced } from './planned-inode.ts'
import { type ByteName, type DirectoryNode, isCompressed, type TreeNode, type Xattr } from './tree.ts'
import { isStorableXattr } from './xattr-area.ts'

/** An xattr that the image does not hold because erofs has no number for its namespace. */
export interface DroppedXattr {
  /** The inode's first path, without a leading slash. */
  readonly path: ByteName
  readonly name: ByteName
}

export interface CollectedTree {
  /** In the order of the image, the root first. */
  readonly inodes: readonly PlannedInode[]
  readonly dropped: readonly DroppedXattr[]
}

/**
 * Lists every inode of a tree once, in an order that depends on the tree alone: the root; then, directory by directory in depth-first
 * order, all that a directory names and no earlier one did, by the bytes of the names. So what `ls -l` reads lies together, and a subtree too.
 *
 * @throws Problem EROFS_INVALID for whatever erofs cannot hold, a directory with two names among it
 */
export function collectInodes(root: DirectoryNode): CollectedTree {
  const collector: Collector = { inodes: [], dropped: [], byNode: new Map() }
  const first = addInode(collector, root, undefined, '')
  const pending: [DirectoryNode, PlannedInode][] = [[root, first]]
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    for (const found of collectDirectory(collector, ...next).reverse()) pending.push(found)
  }
  // Not the map of nodes: nothing needs it any more, and it is large.
  return { inodes: collector.inodes, dropped: collector.dropped }
}

interface Collector {
  readonly inodes: PlannedInode[]
  readonly dropped: DroppedXattr[]
  readonly byNode: Map<TreeNode, PlannedInode>
}

/** Plans a directory's entries and the inodes that are new in them; returns the directories among these. */
function collectDirectory(
  collector: Collector,
  directory: DirectoryNode,
  inode: PlannedInode,
): [DirectoryNode, PlannedInode][] {
  const subdirectories: [DirectoryNode, PlannedInode][] = []
  const entries: PlannedEntry[] = []
  for (const name of [...directory.children.keys(), '.', '..'].sort()) {
    const node = directory.children.get(name)
    if (node === undefined) {
      entries.push({ name, inode: name === '.' ? inode : (inode.parent ?? inode) })
      continue
    }
    const child = linkChild(collector, node, inode, name)
    if (node.kind === 'directory') subdirectories.push([node, child])
    entries.push({ name, inode: child })
  }
  inode.entries = entries
  inode.links += subdirectories.length
  inode.directory = directoryBody(entries)
  return subdirectories
}

function linkChild(collector: Collector, node: TreeNode, parent: PlannedInode, name: ByteName): PlannedInode {
  const path = () => joinPath(pathOf(parent), name)
  checkName(name, path)
  const known = collector.byNode.get(node)
  if (known === undefined) return addInode(collector, node, parent, name)
  if (node.kind === 'directory') throw invalidTree(path(), `it is the directory /${pathOf(known)} under a second name`)
  known.links++
  return known
}

function addInode(
  collector: Collector,
  node: TreeNode,
  parent: PlannedInode | undefined,
  name: ByteName,
): PlannedInode {
  const { inodes, dropped, byNode } = collector
  const path = () => (parent === undefined ? '' : joinPath(pathOf(parent), name))
  checkNode(node, path)
  const inode: PlannedInode = {
    node,
    ino: inodes.length + 1,
    parent,
    name,
    xattrs: storableXattrs(node, path, dropped),
    links: node.kind === 'directory' ? 2 : 1,
    entries: [],
    directory: undefined,
    extentIndexBytes: isCompressed(node) ? extentIndexBytes(node.size) : 0,
    place: unplaced,
  }
  inodes.push(inode)
  byNode.set(node, inode)
  return inode
}

function storableXattrs({ xattrs }: TreeNode, path: () => ByteName, dropped: DroppedXattr[]): readonly Xattr[] {
  if (xattrs.length === 0) return xattrs
  const sorted = [...xattrs].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
  const storable = sorted.filter(({ name }) => isStorableXattr(name))
  for (const { name } of sorted) if (!isStorableXattr(name)) dropped.push({ path: path(), name })
  checkXattrs(storable, path)
  return storable
}

function joinPath(directory: ByteName, name: ByteName): ByteName {
  return directory === '' ? name : `${directory}/${name}`
}
