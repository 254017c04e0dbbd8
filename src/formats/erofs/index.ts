/**
 * erofs: the read-only filesystem of lowers.
 *
 * Belongs here: the on-disk format, a writer of uncompressed images, a reader that trusts no byte.
 * Promises: same tree, same bytes; whatever an image holds, the reader gives a value or a Problem EROFS_INVALID.
 * Never: does I/O; compresses.
 */
export type { DroppedXattr } from './collect-inodes.ts'
export { type Bootstrap, type BootstrapOptions, layoutBootstrap } from './layout-bootstrap.ts'
export {
  type ByteName,
  blockSize,
  type DeviceNode,
  type DirectoryNode,
  type FileData,
  type FileNode,
  type InodeAttributes,
  type SpecialNode,
  type SymlinkNode,
  type TreeNode,
  type Xattr,
} from './tree.ts'
export { isStorableXattr } from './xattr-area.ts'
