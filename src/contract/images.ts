import { z } from 'zod'
import { lowerForms, lowerProfiles } from '../base/index.ts'
import { LazyImage } from './lazy.ts'

export const ImageSummary = z.object({
  /** Every tag of this image; empty for one that only sheds keep. */
  tags: z.array(z.string()),
  /** Of what the tag points at: a manifest, or an index of several platforms. */
  digest: z.string(),
  media_type: z.string(),
  /** Of the manifest for this host's platform; absent when the index has none. */
  manifest_digest: z.string().optional(),
  platform: z.string().optional(),
  created_at: z.string().optional(),
  layers: z.int(),
  /** Sum of the blobs as they are stored, each counted once. */
  size_bytes: z.int(),
  /** Apparent size of the lower when it is built, with the data of its parts. */
  lower_bytes: z.int().optional(),
  /** How file contents are stored in it. */
  lower_profile: z.enum(lowerProfiles).optional(),
  /** One file, or a bootstrap beside the data of its layers, which images share. */
  lower_form: z.enum(lowerForms).optional(),
  /** Sheds boot from it, but its layers are not here: it cannot be pushed or saved before `image pull --with-layers` brings them. */
  boot_only: z.literal(true).optional(),
  /** Nothing removes it, nor what is made from it, before it is unpinned. */
  pinned: z.literal(true).optional(),
  used_by: z.array(z.string()),
  /** Why it cannot be read; then most of what it has is not known. */
  problem: z.string().optional(),
})
export type ImageSummary = z.infer<typeof ImageSummary>

export const ListImagesReply = z.object({ images: z.array(ImageSummary) })
export type ListImagesReply = z.infer<typeof ListImagesReply>

export const ImageLayer = z.object({
  digest: z.string(),
  diff_id: z.string(),
  media_type: z.string(),
  size_bytes: z.int(),
})

export const ImageDetail = ImageSummary.extend({
  config_digest: z.string(),
  architecture: z.string(),
  variant: z.string().optional(),
  os: z.string(),
  author: z.string().optional(),
  /** Of the manifest. */
  annotations: z.record(z.string(), z.string()),
  config: z.object({
    env: z.array(z.string()),
    cmd: z.array(z.string()),
    entrypoint: z.array(z.string()),
    working_dir: z.string(),
    user: z.string(),
    labels: z.record(z.string(), z.string()),
    stop_signal: z.string().optional(),
    exposed_ports: z.array(z.string()),
    volumes: z.array(z.string()),
  }),
  layer_list: z.array(ImageLayer),
  /** What is here of it, when it is read before all of it is: one of each profile that it is read in. */
  lazy: z.array(LazyImage).optional(),
})
export type ImageDetail = z.infer<typeof ImageDetail>

export const LoadImageRequest = z.strictObject({
  /** An OCI archive, docker archive (either gzip-compressed or not) or OCI layout directory on the server's disk; absolute. */
  path: z.string(),
  /** Name for the image, when the archive has none or another. */
  tag: z.string().optional(),
})
export type LoadImageRequest = z.infer<typeof LoadImageRequest>
export const LoadImageReply = z.object({ images: z.array(ImageSummary) })
export type LoadImageReply = z.infer<typeof LoadImageReply>

export const BuildImageRequest = z.strictObject({
  /** Directory on the server's disk; absolute. */
  context: z.string(),
  /** Absolute; the context's Dockerfile or Containerfile when left out. */
  dockerfile: z.string().optional(),
  /** The name of the context's directory when left out. */
  tag: z.string().optional(),
  build_args: z.record(z.string(), z.string()).default({}),
  /** The stage that is wanted; the last one when left out. */
  target: z.string().optional(),
  platform: z.string().optional(),
  /** Seconds since 1970: every time in the image is this one. */
  source_date_epoch: z.int().min(0).optional(),
  no_cache: z.boolean().default(false),
})
export type BuildImageRequest = z.infer<typeof BuildImageRequest>
export const PinImageRequest = z.strictObject({ ref: z.string().min(1) })
export type PinImageRequest = z.infer<typeof PinImageRequest>

export const PullImageRequest = z.strictObject({
  /** `debian:12`, `registry.example/app@sha256:…`. */
  ref: z.string().min(1),
  /** `os/arch[/variant]`; the host's own unless told. */
  platform: z.string().optional(),
  /** Plain http, whatever the settings say. */
  insecure: z.boolean().default(false),
  /** Also layers that only a push needs: of an image that was published with its rootfs, or dropped by a prune. */
  with_layers: z.boolean().default(false),
})
export type PullImageRequest = z.infer<typeof PullImageRequest>
export const PullImageReply = z.object({
  image: ImageSummary,
  /** `unchanged`: the registry has the same, and nothing was fetched. */
  outcome: z.enum(['pulled', 'unchanged']),
})
export type PullImageReply = z.infer<typeof PullImageReply>

export const PushImageRequest = z.strictObject({
  ref: z.string().min(1),
  /** What it will be called in the registry; its own name unless told. */
  destination: z.string().optional(),
  insecure: z.boolean().default(false),
})
export type PushImageRequest = z.infer<typeof PushImageRequest>
const BlobCount = z.object({ blobs: z.int(), bytes: z.int() })
export const PushImageReply = z.object({
  /** In full: `registry.example/team/app:v1`. */
  destination: z.string(),
  /** The same there as here. */
  digest: z.string(),
  uploaded: BlobCount,
  /** Taken over from another repository of the registry, without being sent. */
  mounted: BlobCount,
  /** There already. */
  present: BlobCount,
})
export type PushImageReply = z.infer<typeof PushImageReply>

export const PublishImageRequest = z.strictObject({
  ref: z.string().min(1),
  /** What it will be called in the registry: `registry.example/team/app:v1`. */
  destination: z.string().min(1),
  /** os/arch[/variant], when it is not to be that of the server's host. What the tag has for other platforms stays. */
  platform: z.string().optional(),
  /** Of the lower; as the server's host would build it unless told. */
  profile: z.enum(lowerProfiles).optional(),
  /** Boot traces, as absolute paths of files on the server's disk, besides those that its boots have left and those that the tag has for the same rootfs. */
  traces: z.array(z.string()).max(16).default([]),
  insecure: z.boolean().default(false),
})
export type PublishImageRequest = z.infer<typeof PublishImageRequest>
export const PublishImageReply = z.object({
  /** In full: `registry.example/team/app:v1`. */
  destination: z.string(),
  /** Of what the tag points at there: an index of the image and its rootfs. */
  digest: z.string(),
  /** Of the image, unchanged. */
  manifest_digest: z.string(),
  rootfs_digest: z.string(),
  platform: z.string(),
  profile: z.enum(lowerProfiles),
  /** That the tag had already, and has still. */
  other_platforms: z.array(z.string()),
  /** Of the lower that hosts will boot from. */
  lower_bytes: z.int(),
  /** What a host fetches that has nothing of it. */
  rootfs_bytes: z.int(),
  /** Names of the boot traces that came with it. */
  traces: z.array(z.string()),
  uploaded_bytes: z.int(),
  /** By how they came to be there. */
  blobs: z.object({ uploaded: z.int(), mounted: z.int(), present: z.int() }),
})
export type PublishImageReply = z.infer<typeof PublishImageReply>

export const PublishTracesRequest = z.strictObject({
  /** The tag of an image that was published: `registry.example/team/app:v1`. */
  ref: z.string().min(1),
  /** os/arch[/variant], when it is not to be that of the server's host. */
  platform: z.string().optional(),
  /** Boot traces, as absolute paths of files on the server's disk, besides those that its boots have left. */
  traces: z.array(z.string()).max(16).default([]),
  insecure: z.boolean().default(false),
})
export type PublishTracesRequest = z.infer<typeof PublishTracesRequest>
export const PublishTracesReply = z.object({
  /** In full: `registry.example/team/app:v1`. */
  destination: z.string(),
  /** Of what the tag points at now. */
  digest: z.string(),
  rootfs_digest: z.string(),
  /** Names of all boot traces that it has. */
  traces: z.array(z.string()),
  /** Whether the tag had all of it before. */
  outcome: z.enum(['published', 'unchanged']),
})
export type PublishTracesReply = z.infer<typeof PublishTracesReply>

export const SaveImageRequest = z.strictObject({
  refs: z.array(z.string()).min(1),
  /** Absolute path on the server's disk, which must not exist. */
  path: z.string(),
})
export type SaveImageRequest = z.infer<typeof SaveImageRequest>
export const SaveImageReply = z.object({ path: z.string(), bytes: z.int() })
export type SaveImageReply = z.infer<typeof SaveImageReply>

export const TagImageRequest = z.strictObject({ ref: z.string(), tag: z.string() })
export type TagImageRequest = z.infer<typeof TagImageRequest>
export const RemoveImageRequest = z.strictObject({ force: z.boolean().default(false) })
export type RemoveImageRequest = z.infer<typeof RemoveImageRequest>
export const RemoveImageReply = z.object({
  untagged: z.array(z.string()),
  /** Digests of the blobs that went. */
  deleted: z.array(z.string()),
  freed_physical_bytes: z.int(),
})
export type RemoveImageReply = z.infer<typeof RemoveImageReply>
