import type { ByteName, TreeNode, Xattr } from './tree.ts'

/** A name in a directory; `.` and `..` are names like any other. */
export interface PlannedEntry {
  readonly name: ByteName
  readonly inode: PlannedInode
}

/** An inode of the image to be. The steps of the writer fill it in: collecting, then placing. */
export interface PlannedInode {
  readonly node: TreeNode
  /** i_ino: 1 for the root, then counting in the order of the image. */
  readonly ino: number
  /** The first directory that names it and the name there; what messages call it by. The root is its own parent. */
  readonly parent: PlannedInode | undefined
  readonly name: ByteName
  /** Those that erofs can store, sorted by name. */
  readonly xattrs: readonly Xattr[]
  links: number
  /** Content of a directory in order; empty for everything else. */
  entries: readonly PlannedEntry[]
  /** The content of a directory as it is stored; undefined for everything else: see bodyOf. */
  directory: Body | undefined
  /** Bytes of the index of its extents, which follows the header; 0 when it is not compressed. */
  readonly extentIndexBytes: number
  place: Place
}

/** Content that the bootstrap itself holds. */
export interface Body {
  readonly size: number
  /** Bytes of one block; less than 4096 for the last one. May be called only when every inode has its place. */
  block(index: number): Buffer
}

export interface Place {
  readonly extended: boolean
  /** Byte offset of the inode in the image; a multiple of 32. */
  readonly offset: number
  /** Whether the body's last, partial block follows the inode. */
  readonly inlineTail: boolean
  /** Whole blocks of the body: how many, and which is the first, counted from the end of the inodes. */
  readonly ownBlocks: number
  readonly firstOwnBlock: number
}

export const unplaced: Place = { extended: false, offset: 0, inlineTail: false, ownBlocks: 0, firstOwnBlock: 0 }

/** The path of an inode's first name, without a leading slash; the root's is empty. */
export function pathOf(inode: PlannedInode): ByteName {
  const names: ByteName[] = []
  for (let at = inode; at.parent !== undefined; at = at.parent) names.push(at.name)
  return names.reverse().join('/')
}
