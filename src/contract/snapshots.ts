import { z } from 'zod'
import { pathParameters } from './path-parameters.ts'
import { RootfsKind } from './sheds.ts'
import { VolumeMount } from './volume-mounts.ts'

/** A volume that the shed of a snapshot had: one that it wrote to is in the snapshot, one that it read is only named. */
export const SnapshotVolume = z.object({
  ...VolumeMount.shape,
  /** How large it is; absent when it is only named. */
  bytes: z.int().optional(),
})
export type SnapshotVolume = z.infer<typeof SnapshotVolume>

/** The disks of a shed as they were at one moment, and perhaps its memory. `broken`: its record or one of its disks cannot be used. */
export const Snapshot = z.object({
  name: z.string(),
  id: z.string(),
  status: z.enum(['whole', 'broken']),
  status_reason: z.string().optional(),
  comment: z.string().optional(),
  /** What it was taken of. The shed may be gone, or be another one of the same name: then its id is another. */
  shed: z.object({ name: z.string(), id: z.string() }),
  /** The snapshot that the shed had been made from, if it had been. */
  parent: z.string().optional(),
  /** The shed that it had been forked from, if it had been. */
  forked_from: z.object({ name: z.string(), id: z.string() }).optional(),
  image: z.object({ ref: z.string(), manifest_digest: z.string() }),
  rootfs: RootfsKind,
  /** How large the shed's own disk is. */
  bytes: z.int(),
  /** What all of it has on the host's disk: st_blocks × 512. What it shares counts as well. */
  physical_bytes: z.int(),
  /** In the order in which its guest had their drives. */
  volumes: z.array(SnapshotVolume),
  /** What was in its memory is in it as well: how much RAM that is, and what it has on the host's disk. `compressed`: whoever goes on from it waits until it is inflated. */
  memory: z.object({ bytes: z.int(), physical_bytes: z.int(), compressed: z.literal(true).optional() }).optional(),
  /** Secrets that may be in that memory, by name. */
  secrets_in_memory: z.array(z.string()).optional(),
  /** How long the guest could not write, or with memory stood still; absent when the shed did not run. */
  pause_ms: z.number().optional(),
  /** It is not removed before it is unprotected. */
  protected: z.literal(true).optional(),
  created_at: z.iso.datetime(),
  /** When it came to this host from a file or a backup; absent where it was taken. */
  imported_at: z.iso.datetime().optional(),
})
export type Snapshot = z.infer<typeof Snapshot>

export const SnapshotDetail = Snapshot.extend({
  /** Whether a shed made from it finds what its disk lies over. `to be made`: from the image, which is here. */
  lower: z.enum(['here', 'to be made', 'missing', 'not needed']),
  /** What to type when it is missing. */
  lower_hint: z.string().optional(),
  /** Volumes that are only named, and are not here. */
  missing_volumes: z.array(z.string()),
  /** The sheds that were made from it. */
  sheds: z.array(z.string()),
})
export type SnapshotDetail = z.infer<typeof SnapshotDetail>

export const ListSnapshotsReply = z.object({ snapshots: z.array(Snapshot) })

export const CreateSnapshotRequest = z.strictObject({
  shed: pathParameters.name,
  name: pathParameters.name,
  comment: z.string().max(1024).optional(),
  /** Whether the volumes of the shed belong to it; they do when nothing is said. */
  volumes: z.boolean().optional(),
  /** What is in its memory as well: a shed that is made from it goes on from there. */
  memory: z.boolean().optional(),
  /** Also when secrets may be in the memory of the shed. */
  with_secrets: z.boolean().optional(),
})
export type CreateSnapshotRequest = z.infer<typeof CreateSnapshotRequest>

export const ExportSnapshotQuery = z.strictObject({
  /** Whether its image goes with it, so that the other host needs no registry. */
  with_image: z.stringbool().default(false),
  /** Also when secrets may be in its memory. */
  with_secrets: z.stringbool().default(false),
})

export const ImportSnapshotQuery = z.strictObject({
  /** What to call it; as it was called where it came from unless told. */
  name: pathParameters.name.optional(),
})
export const ImportSnapshotReply = z.object({
  snapshot: SnapshotDetail,
  /** `unchanged`: it was here already. */
  outcome: z.enum(['imported', 'unchanged']),
})
export type ImportSnapshotReply = z.infer<typeof ImportSnapshotReply>
