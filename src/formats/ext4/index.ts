/**
 * ext4: whole root filesystems, to be cloned and written to.
 *
 * Belongs here: the on-disk format as far as a writer needs it; making an image larger, or a guest's filesystem; which blocks of that are free.
 * Promises: same tree, same bytes; what e2fsck and the kernel verify is right; what is not in use may be a hole. Of what a guest has written nothing is believed
 * that a checksum or a count does not confirm.
 * Never: does I/O; reads files of a filesystem that a guest has written to.
 */
export type { Adjustment } from './collect-inodes.ts'
export { type GrowExt4, growExt4, readExt4Head } from './grow-ext4.ts'
export { type GrowGuestExt4, growGuestExt4 } from './grow-guest-ext4.ts'
export { needsReplay } from './guest-superblock.ts'
export { type Ext4Image, type Ext4Options, type Ext4Piece, layoutExt4 } from './layout-ext4.ts'
export type { BlockRun, DataRun, FindZeroRuns } from './place-blocks.ts'
export { type FreeBlocks, type ReadFreeBlocks, readFreeBlocks } from './read-free-blocks.ts'
