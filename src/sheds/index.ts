/**
 * sheds: an image, a disk and a machine make a shed.
 *
 * Belongs here: the state machine of a shed, its record, crash recovery.
 * Promises: one transition at a time per shed; each can be killed at any point, and the next daemon rolls it back or finishes it; VMs outlive
 * the daemon.
 * Never: knows how a VM is run, how an image is stored, or who asked.
 */
export type { ShedsOptions } from './context.ts'
export { openSheds } from './open-sheds.ts'
export { ShedRecord } from './shed-record.ts'
export type { LongWork, Sheds } from './sheds.ts'
