import { z } from 'zod'
import { LazyProgress } from './lazy.ts'
import { LazyReading } from './lazy-reading.ts'
import { fewestOperations, mostForks, smallestMemoryBytes, smallestRate, smallestUpperBytes } from './limits.ts'
import { pathParameters } from './path-parameters.ts'
import { SecretUse, SecretUses } from './secrets.ts'
import { OwnThermalSettings, ThermalSettings } from './thermal.ts'
import { VolumeMount } from './volume-mounts.ts'
import { VolumeMounts } from './volumes.ts'

/**
 * `creating`, `starting`, `stopping`, `sleeping`, `waking` and `deleting` are transitions that a live daemon is in the middle of; `paused` is a shed
 * whose VM is there and stands still, `cold` one whose RAM is on disk and that has no VM; `crashed` is a shed whose VM died without being told to,
 * `failed` one that read what turned out not to be its image, and that does not start again as it is, `broken` one whose record cannot be read.
 */
export const ShedStatus = z.enum([
  'creating',
  'stopped',
  'starting',
  'running',
  'paused',
  'sleeping',
  'cold',
  'waking',
  'stopping',
  'deleting',
  'crashed',
  'failed',
  'broken',
])
export type ShedStatus = z.infer<typeof ShedStatus>

export const Network = z.enum(['user', 'none'])
export type Network = z.infer<typeof Network>

export const PullPolicy = z.enum(['whole', 'lazy', 'never'])
export type PullPolicy = z.infer<typeof PullPolicy>

/**
 * What a shed's disk is: `erofs`, an upper of its own over the lower that all sheds of the image share; `ext4`, a whole root filesystem of its
 * own.
 */
export const RootfsKind = z.enum(['erofs', 'ext4'])
export type RootfsKind = z.infer<typeof RootfsKind>

export const Labels = z.record(z.string().min(1).max(128), z.string().max(1024))
export const Environment = z.record(z.string().regex(/^[^=\0]+$/), z.string().regex(/^[^\0]*$/))

/** How much a shed may read and write in a second, all of its disks together; what is left out is not limited. */
export const IoLimits = z.strictObject({
  read_bytes_per_second: z.int().min(smallestRate).optional(),
  write_bytes_per_second: z.int().min(smallestRate).optional(),
  operations_per_second: z.int().min(fewestOperations).optional(),
})
export type IoLimits = z.infer<typeof IoLimits>

/** What may be said of a new shed; the rest is as in the snapshot that it is made from, or else as `defaultSettings` says. */
const settings = {
  cpus: z.int().min(1).max(64).optional(),
  memory_bytes: z.int().min(smallestMemoryBytes).optional(),
  /** How large its upper is, or with `ext4` its whole root filesystem. */
  upper_bytes: z.int().min(smallestUpperBytes).optional(),
  rootfs: RootfsKind.optional(),
  network: Network.optional(),
  io: IoLimits.optional(),
  env: Environment.optional(),
  labels: Labels.optional(),
}

export const CreateShedRequest = z
  .strictObject({
    name: z.string(),
    /** What it is made from: this, or a snapshot. */
    image: z.string().optional(),
    from_snapshot: pathParameters.snapshot.optional(),
    ...settings,
    /** Whether it gets the volumes of the snapshot, which it does when nothing is said; one in `volumes` takes the place of the snapshot's at the same path. */
    snapshot_volumes: z.boolean().optional(),
    /** Made from a snapshot with memory it is booted from the disk all the same. */
    cold_boot: z.boolean().optional(),
    /** What the new volumes are called that are made of the snapshot's, by the names there; NAME-VOLUME where nothing is said. */
    volume_names: z.record(pathParameters.volume, pathParameters.volume).optional(),
    volumes: VolumeMounts.default([]),
    secrets: SecretUses.default([]),
    thermal: OwnThermalSettings.optional(),
    start: z.boolean().default(true),
    /**
     * Of an image that is not here: `whole`: it is pulled first; `lazy`: it is fetched as the guest reads it, which needs one that was published, or is one erofs image: that cannot be
     * verified before all of it is here. What config.toml says unless told: there `lazy` pulls what was not published.
     */
    pull: PullPolicy.optional(),
    /**
     * The boot trace to fetch ahead by, or to record when there is none of that name; that of any boot unless told. Of sheds that read the same image at the same time,
     * the first says which.
     */
    trace: z
      .string()
      .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/)
      .optional(),
    /** Of an image that is fetched as it is read; what config.toml says where nothing is said. */
    lazy: LazyReading.partial().optional(),
  })
  .refine(({ image, from_snapshot }) => (image === undefined) !== (from_snapshot === undefined), {
    path: ['image'],
    message: 'a shed is made from an image or from a snapshot: one of the two',
  })
export type CreateShedRequest = z.infer<typeof CreateShedRequest>

/** What is left out stays as it is; of I/O, null takes a limit away. */
export const SetLimitsRequest = z
  .strictObject({
    cpus: settings.cpus,
    memory_bytes: settings.memory_bytes,
    /** At least what it has: a disk grows, and its filesystem with it. */
    upper_bytes: settings.upper_bytes,
    io: z
      .strictObject({
        read_bytes_per_second: IoLimits.shape.read_bytes_per_second.nullable(),
        write_bytes_per_second: IoLimits.shape.write_bytes_per_second.nullable(),
        operations_per_second: IoLimits.shape.operations_per_second.nullable(),
      })
      .optional(),
  })
  .refine((request) => Object.keys(request).length > 0, { message: 'it says nothing that is to change' })
export type SetLimitsRequest = z.infer<typeof SetLimitsRequest>

export const Forward = z.object({ guest_port: z.int().min(1).max(65535), host_port: z.int().min(1).max(65535) })
export type Forward = z.infer<typeof Forward>

/** Why a shed has failed for good: as it is, it does not start again. */
export const ShedFailure = z.object({
  /** `DIGEST_MISMATCH`: what its guest read was not its image. */
  code: z.literal('DIGEST_MISMATCH'),
  message: z.string(),
  at: z.iso.datetime(),
})
export type ShedFailure = z.infer<typeof ShedFailure>

export const Shed = z.object({
  name: z.string(),
  id: z.string(),
  status: ShedStatus,
  /** Why it crashed, why it failed, why it is broken, what its last failed start said. */
  status_reason: z.string().optional(),
  /** Of one that has failed. */
  failure: ShedFailure.optional(),
  image: z.object({
    /** As the user named it when the shed was made. */
    ref: z.string(),
    /** The manifest that the shed is pinned to, whatever the tag says now. */
    manifest_digest: z.string(),
  }),
  /** Its lower is not all here: what its guest reads is fetched. */
  lazy: z
    .object({
      /** Of one without a chunk index: of its manifest. */
      chunk_index_digest: z.string(),
      profile: z.string(),
      /** It has no chunk index, and is not all here: nothing of what the guest reads was verified. When it is all here it is, and this goes, or the shed fails. */
      unverified: z.literal(true).optional(),
      /** While it has a VM. */
      progress: LazyProgress.optional(),
    })
    .optional(),
  /** The snapshot that it was made from. */
  snapshot: z.object({ name: z.string(), id: z.string() }).optional(),
  /** The shed that it is a fork of; that may be gone, or be another one of the same name: then its id is another. */
  forked_from: z.object({ name: z.string(), id: z.string() }).optional(),
  cpus: z.int(),
  memory_bytes: z.int(),
  upper_bytes: z.int(),
  rootfs: RootfsKind,
  network: Network,
  io: IoLimits.optional(),
  env: Environment,
  labels: Labels,
  /** In the order in which its guest has their drives. */
  volumes: z.array(VolumeMount),
  /** What it is given, and as what; never the values. */
  secrets: z.array(SecretUse),
  /** Secrets that may be in its memory until its next boot though it is given them no more. */
  secrets_in_memory: z.array(z.string()).optional(),
  /** Neither it nor its disk is removed before it is unprotected. */
  protected: z.literal(true).optional(),
  created_at: z.iso.datetime(),
  /** Of the last change of state: what prune's --until looks at. */
  changed_at: z.iso.datetime(),
  started_at: z.iso.datetime().optional(),
  /** What becomes of it when nobody uses it: as it says itself, else as config.toml does. */
  thermal: ThermalSettings,
  /** Since when nobody has used it; absent while somebody does, and for one that is stopped. */
  idle_since: z.iso.datetime().optional(),
  backend: z.string(),
  acceleration: z.enum(['kvm', 'tcg']).optional(),
  pid: z.int().optional(),
  /** What is kept of the memory of a shed that sleeps takes so much on disk. */
  memory_on_disk_bytes: z.int().optional(),
  forwards: z.array(Forward),
})
export type Shed = z.infer<typeof Shed>

export const ListShedsReply = z.object({ sheds: z.array(Shed) })
export type ListShedsReply = z.infer<typeof ListShedsReply>

export const CreateShedReply = z.object({
  shed: Shed,
  /** `unchanged`: a shed of that name with the same settings was there already. */
  outcome: z.enum(['created', 'unchanged']),
})
export type CreateShedReply = z.infer<typeof CreateShedReply>

export const StartShedRequest = z.strictObject({
  /** A shed that sleeps is booted from its disk: what is in its memory is lost. */
  cold_boot: z.boolean().default(false),
})
export type StartShedRequest = z.infer<typeof StartShedRequest>

export const ForkShedRequest = z.strictObject({
  /** What the fork is called, or with `count` what the names of all of them begin with: NAME-1 and so on. */
  name: pathParameters.name,
  count: z.int().min(1).max(mostForks).optional(),
  /** They are booted from copies of the disk, whatever is in the memory. */
  cold_boot: z.boolean().optional(),
  /** Also when secrets may be in the memory of the shed; the forks are given those that it is given, too. */
  with_secrets: z.boolean().optional(),
})
export type ForkShedRequest = z.infer<typeof ForkShedRequest>

export const ForkShedReply = z.object({
  sheds: z.array(Shed),
  /** How long the vCPUs of the shed stood still, or its guest could not write, in milliseconds; absent when it did not run. */
  pause_ms: z.number().optional(),
})
export type ForkShedReply = z.infer<typeof ForkShedReply>

export const StopShedRequest = z.strictObject({
  /** How long the guest may take to shut down before its VM is killed. */
  timeout_ms: z.int().min(0).default(10_000),
  /** All that is in its memory is kept on the disk, and it goes on from there when it is woken: its guest notices nothing. */
  keep_memory: z.boolean().default(false),
})
export type StopShedRequest = z.infer<typeof StopShedRequest>
export const DeleteShedRequest = z.strictObject({ force: z.boolean().default(false) })
export type DeleteShedRequest = z.infer<typeof DeleteShedRequest>
export const AddForwardRequest = z.strictObject({
  guest_port: z.int().min(1).max(65535),
  host_port: z.int().min(0).max(65535).default(0),
})
export type AddForwardRequest = z.infer<typeof AddForwardRequest>

export const ListForwardsReply = z.object({ forwards: z.array(Forward) })
export type ListForwardsReply = z.infer<typeof ListForwardsReply>
