import { z } from 'zod'

/** `logical_bytes` is the apparent size, `physical_bytes` is st_blocks × 512. */
export const Size = z.object({ logical_bytes: z.int(), physical_bytes: z.int() })
export type Size = z.infer<typeof Size>

/** Whose bytes they are, on the disk itself. `accuracy` of the report says how far to believe it. */
const Exclusive = z.object({
  /** Freed if this alone went; at least so much, where there are only bounds. */
  exclusive_bytes: z.int(),
  /** At most so much; absent where `exclusive_bytes` is no bound. */
  exclusive_bytes_max: z.int().optional(),
})

const Holding = Exclusive.extend({
  /** What it has besides, together with others. */
  shared_bytes: z.int(),
})

/** Something that has files of its own, or together with others. */
export const UsageOwner = z.object({ kind: z.string(), name: z.string() })
export type UsageOwner = z.infer<typeof UsageOwner>

const Owned = Holding.extend({
  /** The few with whom it shares most, most first. */
  shared_with: z.array(UsageOwner),
  last_used_at: z.iso.datetime().optional(),
})

export const UsageFile = Exclusive.extend({
  path: z.string(),
  size: Size,
  kind: z.string(),
  /** Of what is made from images: when a shed booted from it or something was built from it, or else when it was made. */
  last_used_at: z.iso.datetime().optional(),
})
export type UsageFile = z.infer<typeof UsageFile>

/** An image with its layers and lower, which go with it unless another has them too. `size` is that of its blobs alone. */
export const UsageImage = Owned.extend({
  name: z.string(),
  path: z.string(),
  /** The tag. */
  docker_ref: z.string(),
  size: Size,
  pinned: z.literal(true).optional(),
  /** Its blobs, and what is made from it. */
  files: z.array(UsageFile),
})
export const UsageShed = Owned.extend({
  name: z.string(),
  status: z.string(),
  image: z.string(),
  rootfs: UsageFile.optional(),
  protected: z.literal(true).optional(),
  console_log: UsageFile.optional(),
  other_files: z.array(UsageFile),
  total: Size,
})

/** A snapshot of the disk of a shed, which may be gone. */
export const UsageSnapshot = Owned.extend({
  name: z.string(),
  /** The shed that it was taken of. */
  shed: z.string(),
  status: z.string(),
  protected: z.literal(true).optional(),
  disk: UsageFile.optional(),
  /** The volumes that are in it. */
  volumes: z.array(UsageFile),
  other_files: z.array(UsageFile),
  total: Size,
})

/** A volume: by `status` attached to sheds, to none, or broken. */
export const UsageVolume = Owned.extend({
  name: z.string(),
  status: z.string(),
  protected: z.literal(true).optional(),
  disk: UsageFile.optional(),
  other_files: z.array(UsageFile),
  total: Size,
})

const CategoryTotal = Size.extend({ files: z.int(), ...Holding.shape })

/** The filesystem of the data directory, in its own words. */
export const UsageFilesystem = z.object({
  total_bytes: z.int(),
  used_bytes: z.int(),
  /** That the daemon can still write. */
  free_bytes: z.int(),
  /** The filesystem's own, where it says so. */
  metadata_bytes: z.int().optional(),
  /** Used by none of the above: other files, and the metadata where it is not told apart. */
  other_bytes: z.int(),
  /** Held ready by xfs for writes to shared blocks, as near as can be known; the next prune gives it back. */
  reserved_bytes: z.int(),
})

export const Accuracy = z.enum(['exact', 'block', 'bounds', 'estimate'])

export const UsageReport = z.object({
  server_name: z.string(),
  backend: z.string(),
  generated_at: z.iso.datetime(),
  /**
   * `exact`: what the filesystem would free. `block`: blocks of files, where files share nothing. `bounds`: at least, and at most. `estimate`:
   * blocks of files, though they may share some.
   */
  accuracy: Accuracy,
  /** Everything that is cowshed's, each byte on disk once. */
  union_bytes: z.int(),
  filesystem: UsageFilesystem,
  images: z.array(UsageImage),
  kernel: UsageFile.optional(),
  initrd: UsageFile.optional(),
  sheds: z.array(UsageShed),
  snapshots: z.array(UsageSnapshot),
  volumes: z.array(UsageVolume),
  /** Derived files that sheds and images are served from: layer data blobs, lowers, templates. */
  caches: z.array(UsageFile),
  orphans: z.array(UsageFile),
  /** Files without a name that the daemon or a VMM keeps open. */
  deleted: z.array(UsageFile),
  totals: z.object({
    images: CategoryTotal,
    sheds: CategoryTotal.extend({ stopped: z.int(), running: z.int() }),
    snapshots: CategoryTotal,
    volumes: CategoryTotal,
    caches: CategoryTotal,
    orphans: CategoryTotal,
    all: CategoryTotal,
  }),
  notes: z.array(z.string()),
})
export type UsageReport = z.infer<typeof UsageReport>

const BeforeAndAfter = z.object({ before: z.int(), after: z.int() })

/** How what is on disk has changed. Figures of what was not there, or is not any more, are 0. */
export const UsageGrowth = z.object({
  server_name: z.string(),
  generated_at: z.iso.datetime(),
  /** When it was looked at, of all times up to the one asked for the last: by the hour for a week, then by the day. */
  since: z.iso.datetime(),
  accuracy: Accuracy,
  /** Everything that is cowshed's, each byte on disk once. */
  union_bytes: BeforeAndAfter,
  /** What has changed, the largest change first. */
  changes: z.array(
    UsageOwner.extend({
      /** By what goes with it alone; where that is the same, by its blocks. */
      change: z.enum(['new', 'grown', 'shrunk', 'gone']),
      exclusive_bytes: BeforeAndAfter,
      physical_bytes: BeforeAndAfter,
    }),
  ),
  /** So many images, sheds and categories of files are as they were. */
  unchanged: z.int(),
})
export type UsageGrowth = z.infer<typeof UsageGrowth>

/** Who shares what with one image, shed, snapshot, volume or file. */
export const UsageExplained = Holding.extend({
  ...UsageOwner.shape,
  accuracy: Accuracy,
  size: Size,
  /** Most first; at least `bytes` and at most `bytes_max` where there are only bounds. What three have is shared with each of the other two, so that the sum may be more than `shared_bytes`. */
  shares: z.array(UsageOwner.extend({ bytes: z.int(), bytes_max: z.int().optional() })),
})
export type UsageExplained = z.infer<typeof UsageExplained>

export const ExplainQuery = z.strictObject({ name: z.string().min(1) })

/** `layers`: blobs that only a push or a save needs, because their images boot from lowers that are here. `lazy`: what was fetched of images that are read before they are here. */
export const PruneScope = z.enum(['images', 'instances', 'layers', 'cache', 'lazy', 'orphans', 'logs'])
export type PruneScope = z.infer<typeof PruneScope>

export const PruneQuery = z.strictObject({
  scope: z.array(PruneScope).optional(),
  dry_run: z.boolean().default(true),
  /** Age gate in milliseconds: of sheds by their last change of state, 72 hours unless told; of `cache` and `lazy` by their last use, none unless told. */
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
  /** `reservation`: what xfs holds ready for writes to shared blocks. It comes first, and nothing is deleted. */
  kind: z.enum(['reservation', 'instance', 'image', 'layers', 'cache', 'lazy', 'orphan', 'log']),
  name: z.string().optional(),
  path: z.string().optional(),
  action: z.enum(['release', 'remove', 'truncate']),
  freed: Size,
  /** What it frees once all before it are gone; `freed` counts what it shares as well. At least so much where only bounds are known. */
  marginal_bytes: z.int().optional(),
  /** At most so much; absent where `marginal_bytes` is no bound. */
  marginal_bytes_max: z.int().optional(),
  /** Of what would free nothing if it alone went: with whom it shares most of what it has. */
  shared_with: z.array(UsageOwner).optional(),
  /** Of `cache` and `lazy`. */
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
    /** What all items free together, each byte once. */
    predicted_bytes: z.int(),
    /** At most so much; absent where `predicted_bytes` is no bound. */
    predicted_bytes_max: z.int().optional(),
    /** Measured on the filesystem; absent in a dry run. */
    reclaimed_bytes: z.int().optional(),
  }),
})
export type PruneReport = z.infer<typeof PruneReport>
