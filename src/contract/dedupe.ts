import { z } from 'zod'
import { Accuracy, PruneSkip, UsageOwner } from './usage.ts'

export const DedupeRequest = z.strictObject({
  /** Sheds whose disks may get the blocks of others; every shed, and what is made from images, when there are none. */
  names: z.array(z.string()).default([]),
  dry_run: z.boolean().default(true),
  /** The disks of running sheds too. */
  running: z.boolean().default(false),
  /** Read no more in a second. */
  rate_bytes: z.int().min(1).optional(),
})
export type DedupeRequest = z.infer<typeof DedupeRequest>

export const DedupeItem = UsageOwner.extend({
  path: z.string(),
  /** Of the file: what has the blocks of others now, or would have. */
  shared_bytes: z.int(),
  /** On the disk: what goes with that. What several files had together is counted with the first of them. Below zero where more is moved than goes with this file alone. */
  freed_bytes: z.int(),
})
export type DedupeItem = z.infer<typeof DedupeItem>

export const DedupeReport = z.object({
  dry_run: z.boolean(),
  server_name: z.string(),
  accuracy: Accuracy,
  items: z.array(DedupeItem),
  skipped: z.array(PruneSkip),
  totals: z.object({
    shared_bytes: z.int(),
    /** What is freed on the disk; at least so much, where there are only bounds. */
    predicted_bytes: z.int(),
    /** At most so much; absent where `predicted_bytes` is no bound. */
    predicted_bytes_max: z.int().optional(),
    /** Measured on the filesystem; absent in a dry run. */
    reclaimed_bytes: z.int().optional(),
    /** Was not the same any more when its turn came, and was left as it is; absent in a dry run. */
    changed_bytes: z.int().optional(),
    /** Was refused by the filesystem; absent in a dry run. */
    refused_bytes: z.int().optional(),
    /** Read this time, and known from the last time. */
    read_bytes: z.int(),
    known_bytes: z.int(),
  }),
})
export type DedupeReport = z.infer<typeof DedupeReport>
