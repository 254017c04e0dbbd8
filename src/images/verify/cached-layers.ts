import { stat } from 'node:fs/promises'
import { type Digest, errnoCode, problemFromSystem } from '../../base/index.ts'
import { runInWorker } from '../../host/index.ts'
import type { ImagesContext } from '../images-context.ts'
import type { Watch } from './blob-complaint.ts'
import { type CheckLayerFiles, checkLayerFiles } from './check-layer-files.ts'
import type { Contents } from './contents-of.ts'

/** A layer that the cache has. */
export interface CachedLayerUse extends CheckLayerFiles {
  /** What it was unpacked from. */
  readonly blob: Digest
  readonly dataBytes: number
  readonly images: Set<string>
}

/** What is smaller is read in the time that it takes to start a thread. */
export const smallBytes = 8 << 20
const smallIndexBytes = 64 * 1024

/** The layers of images that are in the cache: those with an index, which is what makes one visible. */
export async function cachedLayers({ layout }: ImagesContext, { manifests }: Contents): Promise<CachedLayerUse[]> {
  const layers = new Map<Digest, CachedLayerUse>()
  for (const { manifest, config, images } of manifests.values()) {
    for (const [i, { digest }] of manifest.layers.entries()) {
      const diffId = config?.diffIds[i]
      if (diffId === undefined) continue
      const [indexPath, dataPath] = [layout.layerIndex(diffId), layout.layerData(diffId)]
      const known = layers.get(diffId)
      for (const image of images) known?.images.add(image)
      if (known !== undefined || (await bytesOf(indexPath)) === undefined) continue
      const dataBytes = (await bytesOf(dataPath)) ?? 0
      layers.set(diffId, { diffId, indexPath, dataPath, blob: digest, dataBytes, images: new Set(images) })
    }
  }
  return [...layers.values()]
}

/** @returns what is wrong with the files of a layer, or undefined @throws Problem CANCELLED */
export async function layerComplaint(
  { diffId, indexPath, dataPath, dataBytes }: CachedLayerUse,
  { onBytes, signal }: Watch,
): Promise<string | undefined> {
  const input: CheckLayerFiles = { diffId, indexPath, dataPath }
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
