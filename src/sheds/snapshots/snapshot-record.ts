import { z } from 'zod'
import { Problem } from '../../base/index.ts'
import { SnapshotVolume } from '../../contract/index.ts'
import { ShedRecord } from '../records/shed-record.ts'

/** snapshot.json: the truth about a snapshot. No paths of this host: what its disk lies over is named by its digest. */
export const SnapshotRecord = ShedRecord.pick({
  version: true,
  name: true,
  id: true,
  image: true,
  cpus: true,
  memory_bytes: true,
  upper_bytes: true,
  rootfs: true,
  network: true,
  io: true,
  env: true,
  labels: true,
  defaults: true,
  created_at: true,
}).extend({
  comment: z.string().optional(),
  /** What it was taken of. */
  shed: z.object({ name: z.string(), id: z.string() }),
  /** The snapshot that the shed had been made from. */
  parent: z.string().optional(),
  /** The shed that it had been forked from. */
  forked_from: ShedRecord.shape.forked_from,
  volumes: z.array(SnapshotVolume).default([]),
  /** What was in its memory is there as well: how large the files of that are. */
  memory: z.object({ ram_bytes: z.int(), state_bytes: z.int(), record_bytes: z.int() }).optional(),
  /** Secrets that may be in that. */
  secrets_in_memory: z.array(z.string()).optional(),
  /** How long its guest could not write, or with memory stood still; absent when there was none. */
  pause_ms: z.number().optional(),
  /** When it came to this host; absent where it was taken. */
  imported_at: z.iso.datetime().optional(),
})
export type SnapshotRecord = z.infer<typeof SnapshotRecord>

export function snapshotNotFound(name: string): Problem {
  return new Problem('SNAPSHOT_NOT_FOUND', `there is no snapshot ${name}`, { hint: 'list them: cowshed snapshot ls' })
}

export function snapshotExists(name: string, cause?: unknown): Problem {
  return new Problem('SNAPSHOT_ALREADY_EXISTS', `there is a snapshot ${name} already, and it never changes`, {
    hint: `choose another name, or remove it first: cowshed snapshot rm ${name}`,
    cause,
  })
}
