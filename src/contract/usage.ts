import { z } from 'zod'

/** `logical_bytes` is the apparent size, `physical_bytes` is st_blocks × 512. */
export const Size = z.object({ logical_bytes: z.int(), physical_bytes: z.int() })
export type Size = z.infer<typeof Size>

export const UsageFile = z.object({
  path: z.string(),
  size: Size,
  kind: z.string(),
  /** Of what is made from images: when a shed booted from it or something was built from it, or else when it was made. */
  last_used_at: z.iso.datetime().optional(),
})
export type UsageFile = z.infer<typeof UsageFile>

export const UsageImage = z.object({
  name: z.string(),
  path: z.string(),
  /** The tag. */
  docker_ref: z.string(),
  size: Size,
})
export const UsageShed = z.object({
  name: z.string(),
  status: z.string(),
  image: z.string(),
  rootfs: UsageFile.optional(),
  console_log: UsageFile.optional(),
  other_files: z.array(UsageFile),
  total: Size,
})

const CategoryTotal = Size.extend({ files: z.int() })

export const UsageReport = z.object({
  server_name: z.string(),
  backend: z.string(),
  generated_at: z.iso.datetime(),
  accuracy: z.enum(['exact', 'block', 'bounds', 'estimate']),
  images: z.array(UsageImage),
  kernel: UsageFile.optional(),
  initrd: UsageFile.optional(),
  sheds: z.array(UsageShed),
  /** Derived files that sheds and images are served from: layer data blobs, lowers, templates. */
  caches: z.array(UsageFile),
  orphans: z.array(UsageFile),
  totals: z.object({
    images: CategoryTotal,
    sheds: CategoryTotal.extend({ stopped: z.int(), running: z.int() }),
    caches: CategoryTotal,
    orphans: CategoryTotal,
    all: CategoryTotal,
  }),
  notes: z.array(z.string()),
})
export type UsageReport = z.infer<typeof UsageReport>

export const PruneScope = z.enum(['images', 'instances', 'cache', 'orphans', 'logs'])
export type PruneScope = z.infer<typeof PruneScope>

export const PruneQuery = z.strictObject({
  scope: z.array(PruneScope).optional(),
  dry_run: z.boolean().default(true),
  /** Age gate in milliseconds: of sheds by their last change of state, 72 hours unless told; of the cache by its last use, none unless told. */
  until_ms: z.int().min(0).optional(),
  log_tail_bytes: z
    .int()
    .min(0)
    .default(5 * 2 ** 20),
  /** The cache may take so many bytes: what was used last stays. Implies the scope `cache`. */
  max_used_bytes: z.int().min(0).optional(),
  /** So many bytes of the filesystem are to be free. Implies the scope `cache`. */
  keep_free_bytes: z.int().min(0).optional(),
  /** The id of a plan that was shown: only what it lists is removed. */
  plan_id: z.string().optional(),
})
export type PruneQuery = z.infer<typeof PruneQuery>

export const PruneItem = z.object({
  kind: z.enum(['instance', 'image', 'cache', 'orphan', 'log']),
  name: z.string().optional(),
  path: z.string().optional(),
  action: z.enum(['remove', 'truncate']),
  freed: Size,
  /** What it frees once all before it are gone; `freed` counts what it shares as well. At least so much where only bounds are known. */
  marginal_bytes: z.int().optional(),
  /** Of the cache. */
  last_used_at: z.iso.datetime().optional(),
  reason: z.string().optional(),
})
export type PruneItem = z.infer<typeof PruneItem>
export const PruneSkip = z.object({
  kind: z.string(),
  name: z.string().optional(),
  path: z.string().optional(),
  reason: z.string(),
})
export type PruneSkip = z.infer<typeof PruneSkip>

export const PruneReport = z.object({
  plan_id: z.string(),
  dry_run: z.boolean(),
  server_name: z.string(),
  scope: z.array(PruneScope),
  until: z.string(),
  items: z.array(PruneItem),
  skipped: z.array(PruneSkip),
  notes: z.array(z.string()),
  totals: z.object({
    freed: Size,
    items: z.int(),
    predicted_bytes: z.int(),
    /** Measured on the filesystem; absent in a dry run. */
    reclaimed_bytes: z.int().optional(),
  }),
})
export type PruneReport = z.infer<typeof PruneReport>
