import { type Digest, type LowerProfile, Problem, shortDigest } from '../base/index.ts'
import type { BlobStore } from '../blobs/index.ts'
import { type ImageConfig, type Manifest, plainErofs } from '../formats/index.ts'
import type { ImagesContext } from './images-context.ts'
import { hasLayerFiles } from './lowers/unpack-layer.ts'

/** A layer of an image, and where its blob is or would be. */
export interface ImageLayer {
  readonly digest: Digest
  readonly size: number
  readonly diffId: Digest
  readonly path: string
}

/** From the bottom to the top; of an image that is one erofs image, that alone. */
export function imageLayers(
  blobs: BlobStore,
  { manifest, config }: { readonly manifest: Manifest; readonly config: ImageConfig },
): ImageLayer[] {
  const plain = plainErofs(manifest)
  if (plain !== undefined) return [{ ...plain, diffId: plain.digest, path: blobs.path(plain.digest) }]
  return manifest.layers.flatMap(({ digest, size }, i) => {
    const diffId = config.diffIds[i]
    return diffId === undefined ? [] : [{ digest, size, diffId, path: blobs.path(digest) }]
  })
}

/** The layers whose blobs the store does not have. */
export async function missingLayers(blobs: BlobStore, layers: readonly ImageLayer[]): Promise<ImageLayer[]> {
  const sizes = await Promise.all(layers.map(({ digest }) => blobs.size(digest)))
  return layers.filter(({ size }, at) => sizes[at] !== size)
}

/** The layers of which there is neither the blob nor what was made of it: without them no lower of the profile can be built. */
export async function lostLayers(
  { blobs, layout }: Pick<ImagesContext, 'blobs' | 'layout'>,
  layers: readonly ImageLayer[],
  profile: LowerProfile,
): Promise<ImageLayer[]> {
  const missing = await missingLayers(blobs, layers)
  const cached = await Promise.all(missing.map(({ diffId }) => hasLayerFiles(layout, diffId, profile)))
  return missing.filter((_, at) => cached[at] !== true)
}

/**
 * What cannot be done with an image whose layers are not here, and how to get them.
 *
 * @param ref what to ask a registry for, as the caller said it
 */
export function imageIncomplete(ref: string, digest: Digest): Problem {
  return new Problem('IMAGE_INCOMPLETE', `image ${ref} is not all here: blob ${shortDigest(digest)} is missing`, {
    hint: `get what is missing: cowshed image pull --with-layers ${ref}`,
    data: { digest },
  })
}
