import { z } from 'zod'
import { volumesOfShed } from './limits.ts'
import { VolumeMount } from './volume-mounts.ts'

/** A disk that outlives sheds. `broken`: its record or its disk cannot be used. */
export const Volume = z.object({
  name: z.string(),
  id: z.string(),
  status: z.enum(['attached', 'detached', 'broken']),
  status_reason: z.string().optional(),
  /** How large it is. */
  bytes: z.int(),
  /** What it has on the host's disk: st_blocks × 512. What it shares counts as well. */
  physical_bytes: z.int(),
  /** The sheds that have it: one that writes to it, or any number that read it. */
  attached_to: z.array(z.object({ shed: z.string(), path: z.string(), read_only: z.boolean() })),
  /** It is not removed before it is unprotected. */
  protected: z.literal(true).optional(),
  created_at: z.iso.datetime(),
})
export type Volume = z.infer<typeof Volume>

export const ListVolumesReply = z.object({ volumes: z.array(Volume) })

export const CreateVolumeRequest = z.strictObject({ name: z.string(), bytes: z.int().min(1) })
export type CreateVolumeRequest = z.infer<typeof CreateVolumeRequest>

export const CreateVolumeReply = z.object({
  volume: Volume,
  /** `unchanged`: a volume of that name and size was there already. */
  outcome: z.enum(['created', 'unchanged']),
})
export type CreateVolumeReply = z.infer<typeof CreateVolumeReply>

export const ResizeVolumeRequest = z.strictObject({ bytes: z.int().min(1) })
export const ResizeVolumeReply = z.object({
  volume: Volume,
  /** `guest`: a running guest has made its filesystem larger. `next mount`: the next guest that mounts it to write will. */
  grown_by: z.enum(['guest', 'next mount']),
})
export type ResizeVolumeReply = z.infer<typeof ResizeVolumeReply>

export const CloneVolumeRequest = z.strictObject({ name: z.string() })

export const AttachVolumeRequest = z.strictObject(VolumeMount.shape)
export type AttachVolumeRequest = z.infer<typeof AttachVolumeRequest>

/** A shed's volumes: each once, each at a place of its own. */
export const VolumeMounts = z
  .array(VolumeMount)
  .max(volumesOfShed)
  .refine((mounts) => new Set(mounts.map(({ volume }) => volume)).size === mounts.length, 'a volume is there twice')
  .refine((mounts) => new Set(mounts.map(({ path }) => path)).size === mounts.length, 'a path is there twice')
