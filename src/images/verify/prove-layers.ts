import type { LowerProfile } from '../../base/index.ts'
import type { ImagesContext } from '../images-context.ts'
import type { LongWork } from '../long-work.ts'
import { forEachAtOnce } from '../lowers/for-each-at-once.ts'
import { type LayerBlob, rebuildLayer, unpackLayer } from '../lowers/unpack-layer.ts'
import { cachedLayer } from '../lowers/write-bootstrap.ts'
import { bytesOf, layerComplaint } from './cached-layers.ts'

export interface ProveLayers extends LongWork {
  readonly layers: readonly LayerBlob[]
  readonly profile: LowerProfile
}

/** With two at a time neither the processor nor the disk waits. */
const atOnce = 2

/**
 * Makes sure that what the cache has of layers is what the layers hold: what is not there is unpacked, which proves it; what is there is read, and unpacked
 * again when a disk has damaged it. For whoever passes it on as the truth.
 *
 * @throws Problem as unpackLayer does
 */
export async function proveLayers(
  { layout }: Pick<ImagesContext, 'layout'>,
  { layers, profile, onProgress, signal }: ProveLayers,
): Promise<void> {
  const distinct = new Map(layers.map((layer) => [layer.diffId, layer]))
  await forEachAtOnce([...distinct.values()], atOnce, async ({ diffId, path }) => {
    const layer = { layout, diffId, path, profile, ...(onProgress && { onProgress }), ...(signal && { signal }) }
    if ((await unpackLayer(layer)) === 'built') return
    const files = cachedLayer(layout, diffId, profile)
    const dataBytes = (await bytesOf(files.dataPath)) ?? 0
    const complaint = await layerComplaint({ ...files, dataBytes }, { onBytes: () => {}, signal })
    if (complaint !== undefined) await rebuildLayer(layer)
  })
}
