import { type Digest, digestOf, Problem, shortDigest } from '../../base/index.ts'
import type { Descriptor, Platform } from '../oci/descriptor.ts'
import { documentLimits, parseJsonObject } from '../oci/json-document.ts'
import { mediaTypes } from '../oci/media-types.ts'
import type { ImageIndex } from '../oci/parse-index.ts'
import { formatPlatform } from '../oci/select-platform.ts'
import { rootfsTypes } from './rootfs-manifest.ts'

/** What other tools pass over when they look for an image, as they do for BuildKit's attestations. */
const noPlatform: Platform = { architecture: 'unknown', os: 'unknown' }

/**
 * What a member is: older tools copy annotations, but lose the `artifactType` of a member and with it the digest of the index
 * (skopeo 1.9: `copy --all --preserve-digests` refuses such an index). The manifest itself has one.
 */
const typeAnnotation = 'vnd.cowshed.artifact-type'

/**
 * The text of a rootfs manifest, where the index names it: who has the index need not ask for it. As an annotation, because older tools lose the `data` of a member as they lose its
 * `artifactType`.
 */
const manifestAnnotation = 'vnd.cowshed.rootfs-manifest'
/** Of a manifest of about fifty layers: whoever pulls the image without knowing what a rootfs is gets it too. */
const maxInline = 16 * 1024

/** An image, as it is, and the rootfs that was made from it. */
export interface PublishedImage {
  readonly image: Descriptor & { readonly platform: Platform }
  readonly rootfs: RootfsDocument
}

/** A rootfs manifest as it is stored. */
export interface RootfsDocument {
  readonly descriptor: Descriptor
  readonly bytes: Buffer
}

/** What an index had for another platform already: its members, as they were. */
export interface OtherPlatform {
  readonly platform: Platform
  readonly members: readonly unknown[]
}

/**
 * The bytes of the index that binds an image to its rootfs, beside those of other platforms; fields in the order in which Go writes them, platforms in
 * the order of their names, whoever was published first.
 */
export function encodePublishedIndex(published: PublishedImage, others: readonly OtherPlatform[] = []): Buffer {
  const own = { platform: published.image.platform, members: membersOf(published) }
  const all = [own, ...others].map((one) => ({ ...one, name: formatPlatform(one.platform) }))
  all.sort((x, y) => (x.name < y.name ? -1 : 1))
  const manifests = all.flatMap(({ members }) => members)
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }))
}

function membersOf({ image, rootfs: { descriptor, bytes } }: PublishedImage): unknown[] {
  const { architecture, os, variant } = image.platform
  return [
    {
      mediaType: image.mediaType,
      digest: image.digest,
      size: image.size,
      platform: { architecture, os, ...(variant ? { variant } : {}) },
    },
    {
      mediaType: mediaTypes.ociManifest,
      digest: descriptor.digest,
      size: descriptor.size,
      annotations: { [typeAnnotation]: rootfsTypes.artifact, ...inlined(bytes) },
      platform: noPlatform,
    },
  ]
}

function inlined(manifest: Buffer): Record<string, string> {
  return manifest.length <= maxInline ? { [manifestAnnotation]: manifest.toString() } : {}
}

/**
 * The bytes of an index in which one rootfs manifest has come into the place of another. All else of it is as it was, known here or not.
 *
 * @throws Problem IMAGE_INVALID when the other is not in it, but in an index below it, say
 */
export function replaceRootfs(
  index: Buffer,
  replaced: Digest,
  { descriptor: { digest, size }, bytes }: RootfsDocument,
): Buffer {
  const whole = parseJsonObject(index, { noun: 'the index', maxBytes: documentLimits.index })
  const members: { digest?: unknown; annotations?: object }[] = Array.isArray(whole.manifests) ? whole.manifests : []
  if (!members.some((member) => member.digest === replaced)) {
    throw new Problem('IMAGE_INVALID', `the rootfs ${shortDigest(replaced)} is not in the index itself, but below it`, {
      hint: 'publish the image by itself, where its layers are: cowshed image publish IMAGE REGISTRY/NAME:TAG',
    })
  }
  const manifests = members.map((member) => {
    if (member.digest !== replaced) return member
    const annotations = { ...member.annotations, [manifestAnnotation]: undefined, ...inlined(bytes) }
    return { ...member, digest, size, annotations }
  })
  return Buffer.from(JSON.stringify({ ...whole, manifests }))
}

/** The members of an index that are rootfs manifests. */
export function rootfsMembers({ manifests }: ImageIndex): Descriptor[] {
  return manifests.filter(
    ({ artifactType, annotations, mediaType }) =>
      (artifactType ?? annotations?.[typeAnnotation]) === rootfsTypes.artifact && mediaType === mediaTypes.ociManifest,
  )
}

/** The bytes of a rootfs manifest, when the index that names it has them. What is there and is another is as good as absent. */
export function inlineManifest({ digest, size, annotations }: Descriptor): Buffer | undefined {
  const bytes = Buffer.from(annotations?.[manifestAnnotation] ?? '')
  return bytes.length === size && digestOf(bytes) === digest ? bytes : undefined
}
