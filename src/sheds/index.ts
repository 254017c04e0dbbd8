/**
 * sheds: an image, a disk and a machine make a shed.
 *
 * Belongs here: the state machine of a shed, its record, crash recovery.
 * Promises: one transition at a time per shed; each can be killed at any point, and the next daemon rolls it back or finishes it; VMs outlive
 * the daemon.
 * Inside: `verbs/` are the transitions, `vm/` the VM of a shed from its boot to its end, `records/` what is on disk of it, `admission/` who may start,
 * `volumes/` the volumes and who has them, `snapshots/` disks as they were, `secrets/` how a guest is given secrets.
 * Never: knows how a VM is run, how an image is stored, or who asked.
 */
export type { HostLimits } from './admission/host-limits.ts'
export type { ShedsOptions } from './context.ts'
export type { LazyAttachment, LazyLowers } from './lazy-lowers.ts'
export { openSheds } from './open-sheds.ts'
export { isDown, ShedRecord } from './records/shed-record.ts'
export type { ShedSecrets } from './secrets/shed-secrets.ts'
export { writableDrives } from './shed-disk.ts'
export type { AgentUse, LongWork, Sheds } from './sheds.ts'
export type { Snapshots } from './snapshots/snapshots.ts'
export type { Volumes } from './volumes/volumes.ts'
