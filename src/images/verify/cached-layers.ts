import { stat } from 'node:fs/promises'
import {
  type DataLayout,
  type Digest,
  errnoCode,
  type LowerProfile,
  lowerProfiles,
  problemFromSystem,
} from '../../base/index.ts'
import { runInWorker } from '../../host/index.ts'
import type { ImagesContext } from '../images-context.ts'
import { type CachedLayer, cachedLayer } from '../lowers/write-bootstrap.ts'
import type { Watch } from './blob-complaint.ts'
import { type CheckLayerFiles, checkLayerFiles } from './check-layer-files.ts'
import type { Contents } from './contents-of.ts'

/** A layer that the cache has. */
export interface CachedLayerUse extends CheckLayerFiles {
  /** What it was unpacked from. */
  readonly blob: Digest
  readonly profile: LowerProfile
  readonly dataBytes: number
  readonly images: Set<string>
}

/** What is smaller is read in the time that it takes to start a thread. */
export const smallBytes = 8 << 20
const smallIndexBytes = 64 * 1024

/**
 * The layers of images that are in the cache: those with an index, which is what makes one visible; once for each profile that their data is
 * there for.
 */
export async function cachedLayers({ layout }: ImagesContext, { manifests }: Contents): Promise<CachedLayerUse[]> {
  const layers = new Map<string, CachedLayerUse>()
  for (const { manifest, config, images } of manifests.values()) {
    for (const [i, { digest }] of manifest.layers.entries()) {
      const diffId = config?.diffIds[i]
      if (diffId === undefined) continue
      for (const files of await filesThere(layout, diffId)) {
        const known = layers.get(files.dataPath)
        for (const image of images) known?.images.add(image)
        if (known !== undefined) continue
        const dataBytes = (await bytesOf(files.dataPath)) ?? 0
        layers.set(files.dataPath, { ...files, blob: digest, dataBytes, images: new Set(images) })
      }
    }
  }
  return [...layers.values()]
}

async function filesThere(layout: DataLayout, diffId: Digest): Promise<(CachedLayer & { profile: LowerProfile })[]> {
  if ((await bytesOf(layout.layerIndex(diffId))) === undefined) return []
  const all = lowerProfiles.map((profile) => ({ ...cachedLayer(layout, diffId, profile), profile }))
  const sizes = await Promise.all(all.map(({ dataPath }) => bytesOf(dataPath)))
  const there = all.filter((_, i) => sizes[i] !== undefined)
  // An index without any data is a layer that has lost it.
  return there.length > 0 ? there : all.slice(0, 1)
}

/** @returns what is wrong with the files of a layer, or undefined @throws Problem CANCELLED */
export async function layerComplaint(
  { diffId, indexPath, dataPath, mapPath, dataBytes }: CheckLayerFiles & Pick<CachedLayerUse, 'dataBytes'>,
  { onBytes, signal }: Watch,
): Promise<string | undefined> {
  const input: CheckLayerFiles = { diffId, indexPath, dataPath, mapPath }
  const indexBytes = (await bytesOf(indexPath)) ?? 0
  if (indexBytes <= smallIndexBytes && dataBytes <= smallBytes) return checkLayerFiles(input, onBytes)
  return await runInWorker<string | undefined>({
    name: 'check-layer-files-worker',
    module: new URL('./check-layer-files-worker.ts', import.meta.url),
    input,
    onMessage: (bytes) => onBytes(Number(bytes)),
    ...(signal && { signal }),
  })
}

/** Undefined when it is not there. */
export async function bytesOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return undefined
    throw problemFromSystem(error, `look at ${path}`)
  }
}
