/**
 * disks: the writable side of a shed.
 *
 * Belongs here: uppers and the templates that they are clones of, root filesystems of their own; later snapshots of disks, and volumes.
 * Promises: a new upper costs next to nothing on any filesystem, and is whole or not there.
 * Never: looks into a disk that a guest has written; mounts one on the host.
 */
export { type CreateRootfs, createRootfs } from './create-rootfs.ts'
export { type CreateUpper, createUpper } from './create-upper.ts'
export { ensureUpperTemplate, largestUpper, smallestUpper, upperBytes } from './upper-template.ts'
