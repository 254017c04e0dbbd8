import { type Digest, isProblem } from '../../base/index.ts'
import type { Descriptor, Platform } from '../../formats/index.ts'
import { readKeptRecord } from '../boot-only/kept-record.ts'
import { storedImages } from '../find-image.ts'
import { readImageGraph } from '../image-graph.ts'
import type { ImagesContext } from '../images-context.ts'
import { findKeptLower } from '../kept/find-kept-lower.ts'
import { type PlatformImage, readPlatform } from '../resolve-image.ts'

export interface FindPulled {
  /** What the registry says the reference is. */
  readonly digest: Digest
  readonly platform: Platform
  /** Whether an image that boots without its layers is missing something. */
  readonly withLayers: boolean
}

/**
 * The image of the store that a pull of a digest would end in, when all of it is there. Nothing is hashed: it was when it came.
 *
 * @returns its entry in index.json
 */
export async function findPulled(context: ImagesContext, wanted: FindPulled): Promise<Descriptor | undefined> {
  for (const { descriptor, origin } of storedImages((await context.blobs.readIndex()).entries)) {
    if (descriptor.digest !== wanted.digest && !origin.indexes.includes(wanted.digest)) continue
    if (await isWhole(context, descriptor, wanted)) return descriptor
  }
  return undefined
}

async function isWhole(context: ImagesContext, descriptor: Descriptor, wanted: FindPulled): Promise<boolean> {
  const { blobs } = context
  try {
    const host = await readPlatform({ blobs, platform: wanted.platform }, descriptor)
    const layers = wanted.withLayers ? new Set<Digest>() : await dispensableLayers(context, host, wanted.digest)
    for (const [digest, size] of (await readImageGraph(blobs, descriptor)).blobs) {
      if (!layers.has(digest) && (await blobs.size(digest)) !== size) return false
    }
    return true
  } catch (error) {
    // Damaged, or for another platform: then it is pulled.
    if (isProblem(error)) return false
    throw error
  }
}

/**
 * An image that boots without its layers is there without them, when its lower was built here, or came by what is asked for now. Another index, or
 * the manifest by itself, says nothing of the rootfs that is here: somebody may have put it beside a well-known manifest.
 */
async function dispensableLayers(
  { layout }: ImagesContext,
  { manifestDescriptor: { digest }, manifest }: PlatformImage,
  wanted: Digest,
): Promise<Set<Digest>> {
  if (findKeptLower(layout, digest) === undefined) return new Set()
  const record = await readKeptRecord(layout, digest)
  if (record !== 'none' && !record.published_as.includes(wanted)) return new Set()
  return new Set(manifest.layers.map((layer) => layer.digest))
}
