import { type Digest, isProblem } from '../base/index.ts'
import { type StoredImage, storedImages } from './find-image.ts'
import { type ImageGraph, readImageGraph } from './image-graph.ts'
import type { ImagesContext } from './images-context.ts'

/** What one member of index.json has on disk, by digests; paths are for the reader to make. */
export interface CatalogEntry {
  /** What its tags point at. */
  readonly digest: Digest
  readonly tags: readonly string[]
  readonly isPinned: boolean
  /** Every blob, documents included. */
  readonly blobs: readonly Digest[]
  readonly manifests: readonly { readonly digest: Digest; readonly diffIds: readonly Digest[] }[]
  /** Why it cannot be read; then only what is known is listed. */
  readonly problem?: string
}

/**
 * Everything that index.json lists, artifacts that are no images included.
 *
 * @param onDamage `throw`, for those who delete what is not listed; `show`, for those who only report
 * @throws Problem RECORD_INVALID
 */
export async function catalogImages(
  { blobs, pins }: Pick<ImagesContext, 'blobs' | 'pins'>,
  { onDamage }: { onDamage: 'throw' | 'show' },
): Promise<CatalogEntry[]> {
  const entries: CatalogEntry[] = []
  const pinned = await pins.read().catch((error: unknown) => {
    if (!isProblem(error) || onDamage === 'throw') throw error
    return { has: () => false }
  })
  for (const image of storedImages((await blobs.readIndex()).entries)) {
    const isPinned = pinned.has({ kind: 'image', id: image.descriptor.digest })
    try {
      entries.push({ isPinned, ...catalogEntry(image, await readImageGraph(blobs, image.descriptor)) })
    } catch (error) {
      if (!isProblem(error) || onDamage === 'throw') throw error
      const { digest } = image.descriptor
      entries.push({ digest, tags: image.tags, isPinned, blobs: [digest], manifests: [], problem: error.message })
    }
  }
  return entries
}

function catalogEntry(
  { descriptor, tags }: StoredImage,
  { blobs, manifests }: ImageGraph,
): Omit<CatalogEntry, 'isPinned'> {
  return {
    digest: descriptor.digest,
    tags,
    blobs: [...blobs.keys()],
    manifests: manifests.map((one) => ({ digest: one.descriptor.digest, diffIds: one.config?.diffIds ?? [] })),
  }
}
