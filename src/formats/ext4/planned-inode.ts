import type { ByteName, FileData, InodeAttributes, TreeNode } from '../erofs/tree.ts'
import type { Extent } from './geometry.ts'
import type { PlacedXattrs } from './place-xattrs.ts'

/** Content that the image has of its own, beside what is copied from data blobs. */
export interface Body {
  readonly blocks: number
  /** Only its first block has content; the others are in use, and hold zeros. */
  readonly holesAfterFirst?: boolean
  /** 4096 bytes. */
  block(index: number): Buffer
}

/** Blocks of a file, and where they are; what none of them has is a hole. */
export interface FileExtent extends Extent {
  /** The first of them, in the file. */
  readonly logical: number
}

/** A block of an extent tree. */
export interface TreeBlock {
  readonly block: number
  /** Still without its checksum. */
  readonly bytes: Buffer
}

/** An inode of the image to be. The steps of the writer fill it in: collecting, then placing. */
export interface PlannedInode {
  readonly ino: number
  readonly kind: TreeNode['kind']
  readonly attributes: InodeAttributes
  /** Its first path, without a leading slash. */
  readonly path: () => ByteName
  readonly xattrs: PlacedXattrs
  /** i_size */
  size: number
  links: number
  body: Body | undefined
  /** Content that is in a data blob. */
  readonly data: Extract<FileData, { kind: 'blocks' }> | undefined
  /** i_block of an inode without blocks: the target of a short symlink, a device number. */
  readonly inPlace: Buffer | undefined

  /** Where body or data are, in their order. */
  extents: readonly FileExtent[]
  /** i_block of an inode with blocks. */
  extentRoot: Buffer | undefined
  treeBlocks: readonly TreeBlock[]
  xattrBlock: number | undefined
}
