import { z } from 'zod'
import { formatDuration, formatSize, lowerForms, lowerProfiles } from '../../base/index.ts'
import {
  DurationText,
  defaultLazyReading,
  PruneScope,
  SizeText,
  shortestFailAfterMs,
  shortestIdleMs,
  smallestRate,
} from '../../contract/index.ts'

/** How to talk to one registry. */
const RegistrySettings = z.strictObject({
  /** http instead of https: for a registry on this machine or a network of one's own. */
  plain_http: z.boolean().default(false),
  /** A file of CA certificates (PEM) that vouch for it, besides those of the system; absolute. */
  ca: z.string().startsWith('/').optional(),
  /** Where to ask first, in order: `mirror.example` or `mirror.example/path`. They serve what is asked for by digest; the registry itself says what a tag is. */
  mirrors: z.array(z.string().min(1)).default([]),
})

/** How to talk to the store that has a bucket. */
const S3BucketSettings = z.strictObject({
  /** `https://s3.example:9000`; Amazon's of that region unless told. */
  endpoint: z.url({ protocol: /^https?$/ }).optional(),
  region: z.string().min(1).optional(),
  /** The bucket is in the host name, not in the path. */
  virtual_host: z.boolean().optional(),
  access_key_id: z.string().min(1).optional(),
  secret_access_key: z.string().min(1).optional(),
  /** Of ~/.aws/credentials or ~/.aws/config. */
  profile: z.string().min(1).optional(),
})

const PullPolicy = z.enum(['whole', 'lazy'])

/** How sheds read their images. */
const ImageSettings = z.strictObject({
  /** How file contents are stored in a lower: by the filesystem of the data directory, or always so. */
  lower_profile: z.enum(['auto', ...lowerProfiles]).default('auto'),
  /** Whether a lower is one file, or the data of its layers is given to the guest as drives of their own. */
  lower_form: z.enum(['auto', ...lowerForms]).default('auto'),
  /** What a new shed does about an image that is not here, when nobody says: pull it, or fetch it as it is read if it was published. */
  pull_policy: PullPolicy.default('whole'),
  /** The same for some images, by registry or repository: `registry.example`, `registry.example/team/app`. */
  pull_policies: z.record(z.string(), PullPolicy).default({}),
  /** Whether the rest of one that is fetched as it is read is fetched behind that: always, never, or so much of it a second. */
  lazy_fill: z
    .union([z.boolean(), SizeText.pipe(z.int().min(smallestRate, `at least ${formatSize(smallestRate)} a second`))])
    .default(defaultLazyReading.fill),
  /** A read of one fails when nothing has come from the registry for so long. */
  lazy_fail_after: z
    .union([
      z.literal('never'),
      DurationText.pipe(z.int().min(shortestFailAfterMs, `at least ${formatDuration(shortestFailAfterMs)}`)),
    ])
    .default(defaultLazyReading.fail_after_ms),
})

/** How much of the disk what is made from images may take; without any of these nothing is evicted by itself. */
const CacheSettings = z.strictObject({
  /** So much in all. */
  max_used: SizeText.optional(),
  /** As much as leaves so much free. */
  keep_free: SizeText.optional(),
})

/** When the daemon prunes by itself; without `when_free_below` never. */
const PruneSettings = z.strictObject({
  /** Of the filesystem. */
  when_free_below: SizeText.optional(),
  /** Until so much is free; twice that unless told. */
  free_target: SizeText.optional(),
  cool_down: DurationText.default(10 * 60e3),
  scopes: z.array(PruneScope).min(1).default(['orphans', 'cache']),
  /** Nothing that changed, came or was used more recently. */
  until: DurationText.default(72 * 3600e3),
})

/** A time that may be over before a shed is left alone for a moment is of no use. */
const IdleText = DurationText.pipe(z.int().min(shortestIdleMs, `at least ${formatDuration(shortestIdleMs)}`))

/** What is done for sheds unasked. */
const ShedSettings = z.strictObject({
  /** A shed that has shut down gives back what its filesystem has free. */
  trim_on_stop: z.boolean().default(true),
  /** How long nobody has used a shed until its vCPUs are paused; without it they never are. */
  warm_after: IdleText.optional(),
  /** The same until its memory is put on the disk. */
  cold_after: IdleText.optional(),
  /** How long a shed has slept when its memory is compressed. */
  compress_after: z.union([z.literal('never'), IdleText]).default(10 * 60e3),
  /** A tmpfs where the RAM of running sheds is, below a directory of the daemon's own; absolute. */
  ram_directory: z.string().startsWith('/').default('/dev/shm'),
})

/** How much of this host sheds may have at once: those that run, or are being started. */
const LimitSettings = z.strictObject({
  max_sheds: z.int().min(0).optional(),
  /** The sum of what they were given; unless told, what the host has less a reserve. */
  max_memory: SizeText.optional(),
})

/** Files in PEM: the certificate with what is between it and its authority, and its key. */
const TlsSettings = z.strictObject({ cert: z.string().startsWith('/'), key: z.string().startsWith('/') })

/** What config.toml may say. docs/configuration.md describes every key, and a test compares the two. */
export const Settings = z.strictObject({
  /** By registry as people write it: `docker.io`, `registry.example:5000`. */
  registries: z.record(z.string(), RegistrySettings).default({}),
  /** By bucket; `*` is for every other. */
  s3: z.record(z.string(), S3BucketSettings).default({}),
  /** HOST:PORT to be talked to over the network at; without it, nobody can. */
  listen: z.string().optional(),
  tls: TlsSettings.optional(),
  /** Without `tls`, on more than this host. */
  allow_plain_http: z.boolean().default(false),
  images: ImageSettings.prefault({}),
  cache: CacheSettings.prefault({}),
  prune: PruneSettings.prefault({}),
  sheds: ShedSettings.prefault({}),
  limits: LimitSettings.prefault({}),
})
export type Settings = z.infer<typeof Settings>
