import { z } from 'zod'

/** A published image of which only some is here: what `lazy serve` has fetched. */
export const LazyImage = z.object({
  /** What it was asked for as. `broken` has none when its record cannot be read. */
  reference: z.string().optional(),
  status: z.enum(['served', 'idle', 'broken']),
  /** Of the image. */
  manifest_digest: z.string().optional(),
  /** What every byte of it is held against, and what its directory is called. */
  chunk_index_digest: z.string(),
  profile: z.string().optional(),
  /** All of it. */
  bytes: z.int().optional(),
  /** What of it is here: st_blocks × 512. Runs of zeros are never fetched, so a whole one may have less than `bytes`. */
  physical_bytes: z.int(),
  /** When it was last asked for or fetched from. */
  last_used_at: z.iso.datetime().optional(),
})
export type LazyImage = z.infer<typeof LazyImage>

export const ListLazyReply = z.object({ images: z.array(LazyImage) })
export type ListLazyReply = z.infer<typeof ListLazyReply>

/** What `lazy serve` prints when it can be connected to. */
export interface ServedLazy {
  readonly reference: string
  readonly manifest_digest: string
  readonly chunk_index_digest: string
  /** As clients write it: `nbd+unix:///?socket=…`. */
  readonly url: string
  readonly bytes: number
}

/** What it prints in the end: what it took. */
export interface LazyReport extends ServedLazy {
  readonly requests: number
  /** Of blobs, as they are stored. */
  readonly requested_bytes: number
  readonly fetched_bytes: number
  readonly host_bytes: number
  readonly read_bytes: number
  readonly misses: number
  readonly stall_ms: number
  readonly retries: number
  readonly wrong_leaves: number
  readonly damaged_leaves: number
  readonly unsaved_leaves: number
}
