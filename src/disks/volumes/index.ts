/**
 * volumes: disks that outlive sheds.
 *
 * Belongs here: what a volume is on disk: made, found, cloned, made larger, removed.
 * Promises: each of these can be killed at any point and is then done or not begun.
 * Never: knows which shed uses one; whoever calls has seen to that.
 */
export { cloneVolume } from './clone-volume.ts'
export { createVolume, installVolume } from './create-volume.ts'
export { volumeBytes } from './format-volume.ts'
export { growVolume } from './grow-volume.ts'
export { isCleanVolume } from './is-clean-volume.ts'
export { type LoadedVolume, loadAllVolumes, loadVolume, type Volume } from './load-volume.ts'
export { removeVolume } from './remove-volume.ts'
export { volumeExists, volumeNotFound } from './volume-record.ts'
