/**
 * The file tree that becomes an erofs image, and that the reader gives back. An object is an inode: a hard link is the same object
 * under two names. Names are byte strings: a `latin1` JavaScript string whose char codes are the bytes, so that names that are not UTF-8
 * survive and comparison by code unit is comparison by byte.
 */
export type ByteName = string

export interface Xattr {
  /** Full name, prefix included: `security.capability`. Bytes as a ByteName. */
  readonly name: ByteName
  readonly value: Buffer
}

export interface InodeAttributes {
  /** Permission bits with setuid, setgid and sticky: mode & 0o7777. */
  mode: number
  uid: number
  gid: number
  /** Whole seconds since the epoch, floor: -1.5 s is -2 s and 500,000,000 ns. */
  mtimeSeconds: number
  mtimeNanoseconds: number
  xattrs: readonly Xattr[]
}

/** Where a file's bytes are: in the bootstrap itself, or on whole 4 KiB blocks of one of the data blobs, as they are or compressed. */
export type FileData =
  | { readonly kind: 'inline'; readonly bytes: Buffer }
  | { readonly kind: 'blocks' /** Index into the data blobs. */; readonly blob: number; readonly startBlock: number }
  | CompressedData

export interface CompressedData {
  readonly kind: 'compressed'
  /** Index into the data blobs. */
  readonly blob: number
  readonly startBlock: number
  /** Of all extents together. */
  readonly blocks: number
  /** From the file's start on; their blocks follow one another from `startBlock` on. Walked more than once. */
  readonly extents: Iterable<Extent>
}

/** A run of a compressed file's content and the physical cluster that holds it: whole blocks of the image. */
export interface Extent {
  /** Bytes of content. */
  readonly length: number
  readonly blocks: number
  /** Stored as it is, in one block. */
  readonly raw: boolean
}

export interface DirectoryNode extends InodeAttributes {
  readonly kind: 'directory'
  readonly children: Map<ByteName, TreeNode>
}
export interface FileNode extends InodeAttributes {
  readonly kind: 'file'
  /** Bytes; with `inline` data it equals the data's length. */
  readonly size: number
  readonly data: FileData
}
export interface SymlinkNode extends InodeAttributes {
  readonly kind: 'symlink'
  readonly target: Buffer
}
export interface DeviceNode extends InodeAttributes {
  readonly kind: 'char' | 'block'
  readonly major: number
  readonly minor: number
}
export interface SpecialNode extends InodeAttributes {
  readonly kind: 'fifo' | 'socket'
}
export type TreeNode = DirectoryNode | FileNode | SymlinkNode | DeviceNode | SpecialNode

/** The block size of every image that cowshed writes. Kernels before 6.4 mount only images whose block size is their page size. */
export const blockSize = 4096

/** Whether an inode's content is in extents. */
export function isCompressed(node: TreeNode): node is FileNode & { readonly data: CompressedData } {
  return node.kind === 'file' && node.data.kind === 'compressed'
}
