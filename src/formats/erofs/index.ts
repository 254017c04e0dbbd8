/**
 * erofs: the read-only filesystem of lowers.
 *
 * Belongs here: the on-disk format, a writer of images that are plain or compressed with LZ4, whole or in parts, a reader that trusts no byte.
 * Promises: same tree, same bytes; whatever an image holds, the reader gives a value or a Problem EROFS_INVALID.
 * Never: does I/O.
 */
export type { DroppedXattr } from './collect-inodes.ts'
export { decodeCluster } from './decode-cluster.ts'
export type { DeviceSlot } from './encode-head.ts'
export { ErofsReader } from './erofs-reader.ts'
export { ExtentCutter, maxExtentBytes } from './extent-cutter.ts'
export type { ReadAt } from './image-source.ts'
export { type Bootstrap, type BootstrapOptions, layoutBootstrap } from './layout-bootstrap.ts'
export type { DirectoryEntry } from './read-directory.ts'
export { type ImageHead, readImageHead } from './read-image-head.ts'
export type { Inode } from './read-inode.ts'
export type { Superblock } from './superblock.ts'
export {
  type ByteName,
  blockSize,
  type CompressedData,
  type DeviceNode,
  type DirectoryNode,
  type Extent,
  type FileData,
  type FileNode,
  type InodeAttributes,
  type SpecialNode,
  type SymlinkNode,
  type TreeNode,
  type Xattr,
} from './tree.ts'
export type { VerifiedImage } from './verify-image.ts'
export { type WalkedName, walkedPath } from './walk-image.ts'
export { isStorableXattr } from './xattr-area.ts'
