import { type Digest, Problem } from '../base/index.ts'
import { checkLayerCount } from '../formats/index.ts'
import { derivedFiles } from './derived-files.ts'
import { findManifest } from './find-manifest.ts'
import { readManifestAndConfig } from './image-graph.ts'
import type { ImagesContext, LongWork } from './images-context.ts'
import { findLower, type Lower } from './lowers/ensure-lower.ts'
import { noteUse } from './note-use.ts'

/**
 * The lower of a manifest that is in the store, built when it is not there.
 *
 * @throws Problem RECORD_INVALID when the manifest or its config cannot be read, and whatever building throws
 */
export async function ensureImageLower(context: ImagesContext, manifest: Digest, work: LongWork): Promise<Lower> {
  const { blobs, layout } = context
  // A lower that is there needs nothing else: sheds start even when a blob of their image was lost.
  const present = await findLower(layout, manifest)
  if (present !== undefined) {
    await noteUse(derivedFiles(layout, 'lower', manifest))
    return present
  }
  const read = await readManifestAndConfig(blobs, await findManifest(blobs, manifest, 'the shed needs'))
  const { config } = read
  if (config === undefined) throw new Problem('IMAGE_UNSUPPORTED', 'this is no container image: it has no image config')
  checkLayerCount(read.manifest, config)
  const layers = read.manifest.layers.flatMap(({ digest }, i) => {
    const diffId = config.diffIds[i]
    return diffId === undefined ? [] : [{ diffId, path: blobs.path(digest) }]
  })
  const built = await context.ensureLower({ layout, manifest, layers, ...work })
  await noteUse(layers.flatMap(({ diffId }) => derivedFiles(layout, 'layer', diffId)))
  return built
}
