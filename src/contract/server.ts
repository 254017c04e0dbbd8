import { z } from 'zod'

/** How much of the host the sheds that run, or are being started, take, and may. */
export const HostUse = z.object({
  sheds: z.int(),
  max_sheds: z.int().optional(),
  /** What they were given. */
  memory_bytes: z.int(),
  max_memory_bytes: z.int(),
})
export type HostUse = z.infer<typeof HostUse>

export const ServerInfo = z.object({
  name: z.string(),
  version: z.string(),
  pid: z.int(),
  data_directory: z.string(),
  backend: z.string(),
  started_at: z.iso.datetime(),
  node: z.string(),
  /** An older server does not say. */
  limits: HostUse.optional(),
  /** Where it can be talked to over the network, if it is to. */
  network: z
    .object({
      url: z.string(),
      listening: z.boolean(),
      /** Why it does not listen. */
      reason: z.string().optional(),
    })
    .optional(),
})
export type ServerInfo = z.infer<typeof ServerInfo>

export const DoctorCheck = z.object({
  name: z.string(),
  verdict: z.enum(['ok', 'warning', 'failed']),
  found: z.string(),
  hint: z.string().optional(),
  /** What was done about it, or why it could not be. */
  fixed: z.string().optional(),
})
export const DoctorReport = z.object({ checks: z.array(DoctorCheck) })
export type DoctorCheck = z.infer<typeof DoctorCheck>
export type DoctorReport = z.infer<typeof DoctorReport>

export const SetupRequest = z.strictObject({
  /** A kernel of one's own: an uncompressed or bzImage kernel, absolute path; with `modules`, its /lib/modules/<release> directory. */
  kernel: z.string().optional(),
  modules: z.string().optional(),
})
export type SetupRequest = z.infer<typeof SetupRequest>
export const SetupReply = z.object({
  kernel_id: z.string(),
  release: z.string(),
  acceleration: z.enum(['kvm', 'tcg']),
  acceleration_reason: z.string(),
  outcome: z.enum(['installed', 'unchanged']),
})
export type SetupReply = z.infer<typeof SetupReply>

/** Long work streams these over SSE when asked: any number of progress, then one complete or one error. */
export const ProgressEvent = z.object({
  phase: z.string(),
  item: z.string().optional(),
  done: z.number(),
  total: z.number().optional(),
  /** A line that a program printed on the way. */
  message: z.string().optional(),
})
export type ProgressEvent = z.infer<typeof ProgressEvent>

export const CowshedEvent = z.object({
  /** Increases by one with each event of a data directory. */
  seq: z.int(),
  at: z.iso.datetime(),
  /** `shed.started`, `shed.crashed`, `image.loaded`, `prune.executed`… */
  type: z.string(),
  /** Name of what it happened to. */
  subject: z.string(),
  message: z.string(),
  data: z.record(z.string(), z.unknown()).optional(),
})
export type CowshedEvent = z.infer<typeof CowshedEvent>

export const EventsReply = z.object({ events: z.array(CowshedEvent) })
export type EventsReply = z.infer<typeof EventsReply>
