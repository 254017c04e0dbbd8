/**
 * disks: the writable side of a shed.
 *
 * Belongs here: uppers and the templates that they are clones of, root filesystems of their own; volumes.
 * Promises: a new upper costs next to nothing on any filesystem, and is whole or not there.
 * Never: looks into files on a disk that a guest has written; mounts one on the host. Of its filesystem only the superblock,
 *   the group descriptors and the block bitmaps are read, to trim it, to make it larger and to see whether its journal is empty.
 */
export { type CreateRootfs, createRootfs } from './create-rootfs.ts'
export { type CreateUpper, createUpper } from './create-upper.ts'
export { type GrowDisk, growDisk } from './grow-disk.ts'
export { type TrimDisk, type TrimmedDisk, trimDisk } from './trim-disk.ts'
export { ensureUpperTemplate, largestUpper, smallestUpper, upperBytes } from './upper-template.ts'
export {
  cloneVolume,
  createVolume,
  growVolume,
  installVolume,
  isCleanVolume,
  type LoadedVolume,
  loadAllVolumes,
  loadVolume,
  removeVolume,
  type Volume,
  volumeBytes,
  volumeExists,
  volumeNotFound,
} from './volumes/index.ts'
