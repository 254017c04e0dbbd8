import { z } from 'zod'
import { type Digest, Problem } from '../../base/index.ts'
import { Annotations, DigestField, nullish } from './descriptor.ts'
import { documentLimits, parseJsonObject, parseWith } from './json-document.ts'
import type { Manifest } from './parse-manifest.ts'

/** Docker has always read a lone string as a list of one. */
const StringList = z.union([z.array(z.string()), z.string().transform((text) => [text])])
const Keys = z.record(z.string(), z.unknown()).transform((object) => Object.keys(object))

const RunConfig = z.object({
  User: nullish(z.string()),
  Env: nullish(z.array(z.string())),
  Entrypoint: nullish(StringList),
  Cmd: nullish(StringList),
  WorkingDir: nullish(z.string()),
  Labels: nullish(Annotations),
  StopSignal: nullish(z.string()),
  ExposedPorts: nullish(Keys),
  Volumes: nullish(Keys),
})

const HistoryDocument = z.object({
  created: nullish(z.string()),
  created_by: nullish(z.string()),
  author: nullish(z.string()),
  comment: nullish(z.string()),
  empty_layer: nullish(z.boolean()),
})
export interface HistoryEntry {
  /** As written; RFC 3339 when the writer kept to the specification. */
  readonly created?: string | undefined
  readonly created_by?: string | undefined
  readonly author?: string | undefined
  readonly comment?: string | undefined
  readonly empty_layer?: boolean | undefined
}

const ConfigDocument = z.object({
  architecture: z.string(),
  os: z.string(),
  variant: nullish(z.string()),
  created: nullish(z.string()),
  author: nullish(z.string()),
  config: nullish(RunConfig),
  rootfs: z.object({ type: z.literal('layers'), diff_ids: nullish(z.array(DigestField)) }),
  history: nullish(z.array(HistoryDocument)),
})

/** What an image says about itself: its platform, what to run in it, and what its layers are once they are decompressed. */
export interface ImageConfig {
  readonly architecture: string
  readonly os: string
  readonly variant?: string | undefined
  /** As written; RFC 3339 when the writer kept to the specification. */
  readonly created?: string | undefined
  readonly author?: string | undefined
  readonly env: readonly string[]
  readonly entrypoint: readonly string[]
  readonly cmd: readonly string[]
  readonly workingDir: string
  readonly user: string
  readonly labels: Annotations
  readonly stopSignal?: string | undefined
  readonly exposedPorts: readonly string[]
  readonly volumes: readonly string[]
  /** Digests of the uncompressed layers, bottom first. */
  readonly diffIds: readonly Digest[]
  readonly history: readonly HistoryEntry[]
}

/**
 * The image config that bytes hold; the bytes must have been verified before.
 *
 * @throws Problem IMAGE_INVALID, IMAGE_UNSUPPORTED (digests of an unknown algorithm), LIMIT_EXCEEDED
 * @see image-spec config.md
 */
export function parseImageConfig(bytes: Uint8Array): ImageConfig {
  const document = parseJsonObject(bytes, { noun: 'the image config', maxBytes: documentLimits.config })
  const { architecture, os, variant, created, author, config, rootfs, history } = parseWith(
    ConfigDocument,
    document,
    'the image config',
  )
  return {
    architecture,
    os,
    variant,
    created,
    author,
    env: config?.Env ?? [],
    entrypoint: config?.Entrypoint ?? [],
    cmd: config?.Cmd ?? [],
    workingDir: config?.WorkingDir ?? '',
    user: config?.User ?? '',
    labels: config?.Labels ?? {},
    stopSignal: config?.StopSignal,
    exposedPorts: config?.ExposedPorts ?? [],
    volumes: config?.Volumes ?? [],
    diffIds: rootfs.diff_ids ?? [],
    history: history ?? [],
  }
}

/** @throws Problem IMAGE_INVALID when a manifest has another number of layers than its config has diff_ids */
export function checkLayerCount(manifest: Manifest, config: ImageConfig): void {
  if (manifest.layers.length === config.diffIds.length) return
  const counts = `${manifest.layers.length} layers and its config ${config.diffIds.length} diff_ids`
  throw new Problem('IMAGE_INVALID', `the manifest has ${counts}; there must be one for each layer`)
}
