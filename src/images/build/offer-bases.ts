import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Digest, isProblem } from '../../base/index.ts'
import { type Descriptor, mediaTypes } from '../../formats/index.ts'
import { type FoundImage, findImage } from '../find-image.ts'
import type { ImagesContext } from '../images-context.ts'
import { readPlatform } from '../resolve-image.ts'
import { indexMember } from '../tag-image.ts'
import type { StoredBase } from './build-job.ts'
import type { DockerfileBase } from './dockerfile-bases.ts'

export interface OfferedBases extends Disposable {
  readonly bases: readonly StoredBase[]
  /** Their layers for this host's platform, by diff_id. */
  readonly layers: ReadonlyMap<Digest, Descriptor>
}

/**
 * Makes a layout of those images of a Dockerfile that the store has, for a builder to take them from without any registry. Its blobs are the
 * store's own. The images stay in the store until the disposal.
 *
 * @param directory does not exist yet
 * @throws Problem RECORD_INVALID, IMAGE_NOT_FOUND when one is just being removed
 */
export async function offerBases(
  context: ImagesContext,
  wanted: readonly DockerfileBase[],
  directory: string,
): Promise<OfferedBases> {
  const found: { written: string; image: FoundImage }[] = []
  for (const { written, name } of wanted) {
    const image = await inStore(context, name)
    if (image !== undefined) found.push({ written, image })
  }
  const holds = found.map(({ image }) => context.leases.holdImage(image.descriptor.digest))
  const release = () => {
    for (const hold of holds) hold[Symbol.dispose]()
  }
  try {
    const images = found.map(({ image }) => image)
    await writeLayout(context, images, directory)
    const bases = found.map(({ written }, i) => ({ written, layout: directory, ref: refOf(i) }))
    return { bases, layers: await layersOf(context, images), [Symbol.dispose]: release }
  } catch (error) {
    release()
    throw error
  }
}

/** What is no reference to us may be one to the builder: it says so itself. */
async function inStore({ blobs }: ImagesContext, name: string): Promise<FoundImage | undefined> {
  try {
    return await findImage(blobs, name)
  } catch (error) {
    if (isProblem(error, 'IMAGE_NOT_FOUND') || isProblem(error, 'INVALID_REQUEST')) return undefined
    throw error
  }
}

async function writeLayout({ layout }: ImagesContext, images: readonly FoundImage[], directory: string): Promise<void> {
  const manifests = images.map(({ descriptor }, i) => indexMember(descriptor, refOf(i)))
  await mkdir(directory)
  await symlink(layout.blobs, join(directory, 'blobs'))
  await writeFile(join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  await writeFile(
    join(directory, 'index.json'),
    JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }),
  )
}

function refOf(number: number): string {
  return `base-${number}`
}

async function layersOf(context: ImagesContext, images: readonly FoundImage[]): Promise<Map<Digest, Descriptor>> {
  const layers = new Map<Digest, Descriptor>()
  for (const { descriptor } of images) {
    const { manifest, config } = await readPlatform(context, descriptor)
    for (const [i, layer] of manifest.layers.entries()) {
      const diffId = config.diffIds[i]
      if (diffId !== undefined && !layers.has(diffId)) layers.set(diffId, layer)
    }
  }
  return layers
}
