import type { ImageSource } from './image-source.ts'
import { dataLayout } from './inode-core.ts'
import { invalidImage } from './invalid.ts'
import type { Inode } from './read-inode.ts'
import { readSymlink } from './read-symlink.ts'
import { noSharedXattrs, readXattrs } from './read-xattrs.ts'
import { blockSize, type DirectoryNode, type FileData, type TreeNode, type Xattr } from './tree.ts'
import { walkImage } from './walk-image.ts'

/**
 * The tree that an image holds. A file on whole blocks points at them, with the image itself as blob 0; the bytes of any other file are read
 * by `readAll` when somebody asks for them.
 *
 * @throws Problem EROFS_INVALID
 */
export function rebuildTree(source: ImageSource, readAll: (inode: Inode) => Buffer): DirectoryNode {
  const nodes = new Map<Inode, TreeNode>()
  const shared = noSharedXattrs()
  for (const { name, inode, parent } of walkImage(source)) {
    const node = nodes.get(inode) ?? nodeOf(inode, { source, readAll, xattrs: readXattrs(source, inode, shared) })
    nodes.set(inode, node)
    const directory = parent === undefined ? undefined : nodes.get(parent.inode)
    if (directory?.kind === 'directory') directory.children.set(name, node)
  }
  const [root] = nodes.values()
  if (root?.kind !== 'directory') throw invalidImage('it has no root')
  return root
}

interface Context {
  readonly source: ImageSource
  readonly readAll: (inode: Inode) => Buffer
  readonly xattrs: readonly Xattr[]
}

function nodeOf(inode: Inode, context: Context): TreeNode {
  const { kind, mode, uid, gid, mtimeSeconds, mtimeNanoseconds, size, major, minor } = inode
  // Spread last: V8 makes slow and large objects of literals that go on after a spread, and an image has many inodes.
  const attributes = { mode, uid, gid, mtimeSeconds, mtimeNanoseconds, xattrs: context.xattrs }
  switch (kind) {
    case 'directory':
      return { kind, children: new Map(), ...attributes }
    case 'file':
      return { kind, size, data: dataOf(inode, context), ...attributes }
    case 'symlink':
      return { kind, target: readSymlink(context.source, inode), ...attributes }
    case 'char':
    case 'block':
      return { kind, major, minor, ...attributes }
    default:
      return { kind, ...attributes }
  }
}

function dataOf(inode: Inode, { source, readAll }: Context): FileData {
  const onBlocks = inode.layout === dataLayout.flatPlain && inode.size > 0 && source.superblock.blockSize === blockSize
  if (onBlocks) return { kind: 'blocks', blob: 0, startBlock: inode.union }
  return {
    kind: 'inline',
    get bytes() {
      return readAll(inode)
    },
  }
}
