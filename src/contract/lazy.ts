import { z } from 'zod'

/** What serving an image that is partly here has taken so far. */
export const LazyCounts = z.object({
  /** To the registry. */
  requests: z.int(),
  /** Of blobs, as they are stored. */
  requested_bytes: z.int(),
  /** Of the lower, from the registry, and right. */
  fetched_bytes: z.int(),
  /** The same, from layers and lowers of this host. */
  host_bytes: z.int(),
  /** What clients have read. */
  read_bytes: z.int(),
  /** Of leaves that were fetched before anybody read them, and that nobody has read yet. */
  unread_bytes: z.int(),
  /** Reads that had to wait for what was not here, and how long in all, in milliseconds. */
  misses: z.int(),
  stall_ms: z.int(),
  /** Requests that failed and were made again. */
  retries: z.int(),
  /** Leaves that came and were not what they must be. */
  wrong_leaves: z.int(),
  /** Leaves that were here and not what they must be. */
  damaged_leaves: z.int(),
  /** Leaves that came and could not be kept: the disk is full. */
  unsaved_leaves: z.int(),
})
export type LazyCounts = z.infer<typeof LazyCounts>

const Percent = z.int().min(0).max(100)

/** An image in at most 64 equal cells, from its beginning to its end, and of each what share of it: nothing is 0, and all of it 100. */
export const LazyHeat = z.object({
  /** The last cell may stand for less. */
  cell_bytes: z.int(),
  /** Here, runs of zeros included. */
  here: z.array(Percent).max(64),
  /** Read, since whoever serves it began. */
  read: z.array(Percent).max(64),
  /** Fetched since then, and read by nobody. */
  ahead: z.array(Percent).max(64),
})
export type LazyHeat = z.infer<typeof LazyHeat>

/** How far an image is that is read before it is here. */
export const LazyProgress = z.object({
  /** Of it: what is here, runs of zeros included. */
  here_bytes: z.int(),
  here_percent: Percent,
  /** All of it is here, and was found to be right. */
  complete: z.boolean(),
  /** Its registry does not give what is read: since when, and why. Absent while it does. */
  degraded: z.object({ since: z.iso.datetime(), reason: z.string() }).optional(),
  /** It has no chunk index, so nothing of it was verified so far: all of it will be when all of it is here. */
  unverified: z.literal(true).optional(),
  /** The same came, and is not what its digest says: since when that is known, and why. Nothing is given of it any more. */
  wrong: z.object({ since: z.iso.datetime(), reason: z.string() }).optional(),
  heat: LazyHeat,
  counts: LazyCounts,
})
export type LazyProgress = z.infer<typeof LazyProgress>

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
  /** Absent when nothing says any more what it consists of. Of one that is idle the counts are of when it was served last, 0 when nobody knows. */
  progress: LazyProgress.optional(),
  /** Those that are made from it. */
  sheds: z.array(z.string()),
  /** Connections to those who serve it: of VMs and of others, the daemon's own not among them. */
  clients: z.int(),
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
  readonly url?: string
  /** The file that it is served as. */
  readonly path?: string
  readonly bytes: number
}

/** What it prints in the end: what it took. */
export interface LazyReport extends ServedLazy, Readonly<LazyCounts> {
  /** Why what was served was not what was published, which could be seen only when all of it was here. */
  readonly wrong?: string
}
