import { z } from 'zod'
import { defaultMemoryBytes, defaultUpperBytes, smallestMemoryBytes, smallestUpperBytes } from './limits.ts'

/**
 * `creating`, `starting`, `stopping` and `deleting` are transitions that a live daemon is in the middle of; `crashed` is a shed whose VM died
 * without being told to, `broken` one whose record cannot be read.
 */
export const ShedStatus = z.enum([
  'creating',
  'stopped',
  'starting',
  'running',
  'stopping',
  'deleting',
  'crashed',
  'broken',
])
export type ShedStatus = z.infer<typeof ShedStatus>

export const Network = z.enum(['user', 'none'])
export type Network = z.infer<typeof Network>

export const PullPolicy = z.enum(['whole', 'never'])
export type PullPolicy = z.infer<typeof PullPolicy>

/**
 * What a shed's disk is: `erofs`, an upper of its own over the lower that all sheds of the image share; `ext4`, a whole root filesystem of its
 * own.
 */
export const RootfsKind = z.enum(['erofs', 'ext4'])
export type RootfsKind = z.infer<typeof RootfsKind>

export const Labels = z.record(z.string().min(1).max(128), z.string().max(1024))
export const Environment = z.record(z.string().regex(/^[^=\0]+$/), z.string().regex(/^[^\0]*$/))

export const CreateShedRequest = z.strictObject({
  name: z.string(),
  image: z.string(),
  cpus: z.int().min(1).max(64).default(1),
  memory_bytes: z.int().min(smallestMemoryBytes).default(defaultMemoryBytes),
  /** How large its upper is, or with `ext4` its whole root filesystem. */
  upper_bytes: z.int().min(smallestUpperBytes).default(defaultUpperBytes),
  rootfs: RootfsKind.default('erofs'),
  network: Network.default('user'),
  env: Environment.default({}),
  labels: Labels.default({}),
  start: z.boolean().default(true),
  /** `whole`: an image that is not here is pulled first. */
  pull: PullPolicy.default('whole'),
})
export type CreateShedRequest = z.infer<typeof CreateShedRequest>

export const Forward = z.object({ guest_port: z.int().min(1).max(65535), host_port: z.int().min(1).max(65535) })
export type Forward = z.infer<typeof Forward>

export const Shed = z.object({
  name: z.string(),
  id: z.string(),
  status: ShedStatus,
  /** Why it crashed, why it is broken, what its last failed start said. */
  status_reason: z.string().optional(),
  image: z.object({
    /** As the user named it when the shed was made. */
    ref: z.string(),
    /** The manifest that the shed is pinned to, whatever the tag says now. */
    manifest_digest: z.string(),
  }),
  cpus: z.int(),
  memory_bytes: z.int(),
  upper_bytes: z.int(),
  rootfs: RootfsKind,
  network: Network,
  env: Environment,
  labels: Labels,
  created_at: z.iso.datetime(),
  /** Of the last change of state: what prune's --until looks at. */
  changed_at: z.iso.datetime(),
  started_at: z.iso.datetime().optional(),
  backend: z.string(),
  acceleration: z.enum(['kvm', 'tcg']).optional(),
  pid: z.int().optional(),
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

export const StopShedRequest = z.strictObject({
  /** How long the guest may take to shut down before its VM is killed. */
  timeout_ms: z.int().min(0).default(10_000),
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
