import { z } from 'zod'
import { Accuracy, PruneSkip } from './usage.ts'

export const TrimRequest = z.strictObject({
  /** Sheds whose disks are trimmed, with the volumes that they write to; every shed and every volume when there are none. */
  names: z.array(z.string()).default([]),
  dry_run: z.boolean().default(true),
})
export type TrimRequest = z.infer<typeof TrimRequest>

/** Bytes on disk: of its files' blocks, and freed if it alone went (at least so much, where there are only bounds). */
const OnDisk = z.object({ physical_bytes: z.int(), exclusive_bytes: z.int() })

export const TrimItem = z.object({
  kind: z.enum(['shed', 'volume']),
  name: z.string(),
  /** `guest`: its kernel gave back what it has free. `host`: it is not running, and the free blocks of its filesystem were looked up. */
  by: z.enum(['guest', 'host']),
  /** What its filesystem has free. */
  free_bytes: z.int(),
  /** What of that has data on the host; not known of a guest's own doing. */
  punched_bytes: z.int().optional(),
  before: OnDisk,
  /** Absent in a dry run. */
  after: OnDisk.optional(),
})
export type TrimItem = z.infer<typeof TrimItem>

export const TrimReport = z.object({
  dry_run: z.boolean(),
  server_name: z.string(),
  accuracy: Accuracy,
  items: z.array(TrimItem),
  skipped: z.array(PruneSkip),
  totals: z.object({
    punched_bytes: z.int(),
    /** Measured on the filesystem; absent in a dry run. */
    reclaimed_bytes: z.int().optional(),
  }),
})
export type TrimReport = z.infer<typeof TrimReport>
