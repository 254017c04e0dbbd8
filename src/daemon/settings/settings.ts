import { z } from 'zod'
import { isProblem, lowerForms, lowerProfiles, parseSize } from '../../base/index.ts'

/** How to talk to one registry. */
const RegistrySettings = z.strictObject({
  /** http instead of https: for a registry on this machine or a network of one's own. */
  plain_http: z.boolean().default(false),
  /** A file of CA certificates (PEM) that vouch for it, besides those of the system; absolute. */
  ca: z.string().startsWith('/').optional(),
  /** Where to ask first, in order: `mirror.example` or `mirror.example/path`. They serve what is asked for by digest; the registry itself says what a tag is. */
  mirrors: z.array(z.string().min(1)).default([]),
})

/** How sheds read their images. */
const ImageSettings = z.strictObject({
  /** How file contents are stored in a lower: by the filesystem of the data directory, or always so. */
  lower_profile: z.enum(['auto', ...lowerProfiles]).default('auto'),
  /** Whether a lower is one file, or the data of its layers is given to the guest as drives of their own. */
  lower_form: z.enum(['auto', ...lowerForms]).default('auto'),
})

/** Bytes, as people write them. */
const SizeText = z.string().transform((text, context) => {
  try {
    return parseSize(text)
  } catch (error) {
    context.addIssue({ code: 'custom', message: isProblem(error) ? error.message : 'not a size' })
    return z.NEVER
  }
})

/** How much of the disk what is made from images may take; without any of these nothing is evicted by itself. */
const CacheSettings = z.strictObject({
  /** So much in all. */
  max_used: SizeText.optional(),
  /** As much as leaves so much free. */
  keep_free: SizeText.optional(),
})

/** What config.toml may say. docs/configuration.md describes every key, and a test compares the two. */
export const Settings = z.strictObject({
  /** By registry as people write it: `docker.io`, `registry.example:5000`. */
  registries: z.record(z.string(), RegistrySettings).default({}),
  images: ImageSettings.prefault({}),
  cache: CacheSettings.prefault({}),
})
export type Settings = z.infer<typeof Settings>
