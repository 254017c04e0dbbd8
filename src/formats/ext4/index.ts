/**
 * ext4: whole root filesystems, to be cloned and written to.
 *
 * Belongs here: the on-disk format as far as a writer needs it; making an image larger.
 * Promises: same tree, same bytes; what e2fsck and the kernel verify is right; what is not in use may be a hole.
 * Never: does I/O; reads a filesystem that a guest has written to.
 */
export type { Adjustment } from './collect-inodes.ts'
export { type GrowExt4, growExt4, readExt4Head } from './grow-ext4.ts'
export { type Ext4Image, type Ext4Options, type Ext4Piece, layoutExt4 } from './layout-ext4.ts'
export type { DataRun } from './place-blocks.ts'
