import type { Descriptor, Platform } from '../oci/descriptor.ts'
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

/** An image, as it is, and the rootfs that was made from it. */
export interface PublishedImage {
  readonly image: Descriptor & { readonly platform: Platform }
  readonly rootfs: Descriptor
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

function membersOf({ image, rootfs }: PublishedImage): unknown[] {
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
      digest: rootfs.digest,
      size: rootfs.size,
      annotations: { [typeAnnotation]: rootfsTypes.artifact },
      platform: noPlatform,
    },
  ]
}

/** The members of an index that are rootfs manifests. */
export function rootfsMembers({ manifests }: ImageIndex): Descriptor[] {
  return manifests.filter(
    ({ artifactType, annotations, mediaType }) =>
      (artifactType ?? annotations?.[typeAnnotation]) === rootfsTypes.artifact && mediaType === mediaTypes.ociManifest,
  )
}
