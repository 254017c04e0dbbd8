import type { Descriptor, Platform } from '../oci/descriptor.ts'
import { mediaTypes } from '../oci/media-types.ts'
import type { ImageIndex } from '../oci/parse-index.ts'
import { rootfsTypes } from './rootfs-manifest.ts'

/** What other tools pass over when they look for an image, as they do for BuildKit's attestations. */
const noPlatform: Platform = { architecture: 'unknown', os: 'unknown' }

/**
 * What a member is: older tools copy annotations, but lose the `artifactType` of a member and with it the digest of the index
 * (skopeo 1.9: `copy --all --preserve-digests` refuses such an index). The manifest itself has one.
 */
const typeAnnotation = 'vnd.cowshed.artifact-type'

/** The bytes of the index that binds an image, as it is, to the rootfs that was made from it; fields in the order in which Go writes them. */
export function encodePublishedIndex({
  image,
  rootfs,
}: {
  image: Descriptor & { platform: Platform }
  rootfs: Descriptor
}) {
  const { architecture, os, variant } = image.platform
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociIndex,
      manifests: [
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
      ],
    }),
  )
}

/** The members of an index that are rootfs manifests. */
export function rootfsMembers({ manifests }: ImageIndex): Descriptor[] {
  return manifests.filter(
    ({ artifactType, annotations, mediaType }) =>
      (artifactType ?? annotations?.[typeAnnotation]) === rootfsTypes.artifact && mediaType === mediaTypes.ociManifest,
  )
}
