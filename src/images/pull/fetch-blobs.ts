import { readFile } from 'node:fs/promises'
import { type Digest, isProblem, shortDigest } from '../../base/index.ts'
import { readStaged, type StagedBlob } from '../../blobs/index.ts'
import {
  type Descriptor,
  type ImageConfig,
  isImageConfig,
  type Manifest,
  parseImageConfig,
} from '../../formats/index.ts'
import type { Repository } from '../../wires/index.ts'
import { type Made, madeLayer } from '../commit-images.ts'
import { imageConfigOf } from '../image-config.ts'
import type { ImagesContext } from '../images-context.ts'
import type { BlobLease } from '../leases.ts'
import type { IsPresent } from '../load/presence.ts'
import type { LongWork } from '../long-work.ts'
import { forEachAtOnce } from '../lowers/for-each-at-once.ts'
import type { Growing } from './downloads.ts'

export interface FetchBlobs extends LongWork {
  readonly manifest: Manifest
  readonly repository: Repository
  readonly lease: BlobLease
  readonly isPresent: IsPresent
  readonly made: Set<Made>
}

/** Layers that are downloaded, and unpacked, at the same time. */
const atOnce = 4

/**
 * Brings the config and the layers of a manifest, as far as the store does not have them. Each layer is unpacked while it comes: what goes wrong
 * with that is not told here, because only the whole blob proves whose fault it is.
 *
 * @returns what came, verified, by digest
 * @throws Problem as Downloads.fetch does: the first that went wrong, when everything else has ended
 */
export async function fetchBlobs(context: ImagesContext, request: FetchBlobs): Promise<Map<Digest, StagedBlob>> {
  const ended = new AbortController()
  const signal = request.signal === undefined ? ended.signal : AbortSignal.any([request.signal, ended.signal])
  const fetched = new Map<Digest, StagedBlob>()
  const work = { ...request, signal, fetched }
  const config = fetchConfig(context, work)
  config.catch((error) => ended.abort(error))
  try {
    const layers = await missingLayers(request)
    for (const { digest, size } of layers) {
      request.onProgress?.({ phase: 'download', item: shortDigest(digest), done: 0, total: size })
    }
    await forEachAtOnce(layers, atOnce, async (layer) => {
      try {
        await fetchLayer(context, { ...work, layer, config })
      } catch (error) {
        ended.abort(error)
        throw error
      }
    })
    await config
    return fetched
  } catch (error) {
    ended.abort(error)
    // What it says when it was not the first to fail is only that it was stopped.
    const first = await config.then(
      () => error,
      (problem: unknown) => (isProblem(problem, 'CANCELLED') ? error : problem),
    )
    throw first
  }
}

/** The largest first, so that none is left alone at the end. */
async function missingLayers({ manifest, isPresent }: FetchBlobs): Promise<Descriptor[]> {
  const distinct = [...new Map(manifest.layers.map((layer) => [layer.digest, layer])).values()]
  const missing: Descriptor[] = []
  for (const layer of distinct) if (!(await isPresent(layer.digest, layer.size))) missing.push(layer)
  return missing.sort((a, b) => b.size - a.size)
}

interface Fetched extends FetchBlobs {
  readonly signal: AbortSignal
  readonly fetched: Map<Digest, StagedBlob>
}

/** The config of a manifest, which is among `fetched` when the store did not have it. */
export async function fetchConfig(
  context: ImagesContext,
  request: Pick<Fetched, 'manifest' | 'repository' | 'isPresent' | 'fetched'> & Pick<LongWork, 'signal'>,
): Promise<ImageConfig> {
  const { manifest, repository, isPresent, fetched, signal } = request
  const { digest, size } = manifest.config
  let blob: StagedBlob = { digest, size, path: context.blobs.path(digest) }
  if (!(await isPresent(digest, size))) {
    blob = await context.downloads.fetch({ descriptor: manifest.config, repository, signal }).blob
    fetched.set(digest, blob)
  }
  const bytes = await readStaged(context.layout, blob, (path) => readFile(path))
  return imageConfigOf(manifest, isImageConfig(manifest.config.mediaType) ? parseImageConfig(bytes) : undefined)
}

interface FetchLayer extends Fetched {
  readonly layer: Descriptor
  readonly config: Promise<ImageConfig>
}

async function fetchLayer(context: ImagesContext, request: FetchLayer): Promise<void> {
  const { layer, repository, fetched, onProgress, signal } = request
  const { partial, blob } = context.downloads.fetch({ descriptor: layer, repository, onProgress, signal })
  const unpacked = partial === undefined ? undefined : unpackEarly(context, request, partial)
  try {
    fetched.set(layer.digest, await blob)
  } finally {
    // Even when it is for nothing: it works in staging of ours.
    await unpacked
  }
}

/** Whatever goes wrong here goes wrong again when the blob is whole, and is told then. */
async function unpackEarly(context: ImagesContext, request: FetchLayer, { path, growing }: Growing): Promise<void> {
  const { layer, manifest, config, lease, made, onProgress, signal } = request
  try {
    const diffId = (await config).diffIds[manifest.layers.findIndex(({ digest }) => digest === layer.digest)]
    if (diffId === undefined) return
    lease.add(diffId)
    await context.leases.settled()
    const item = shortDigest(layer.digest)
    const outcome = await context.unpackLayer({
      layout: context.layout,
      diffId,
      path,
      growing,
      signal,
      // By the name that its download has.
      ...(onProgress && { onProgress: (progress) => onProgress({ ...progress, item }) }),
    })
    if (outcome === 'built') made.add(madeLayer(context.layout, diffId))
  } catch (error) {
    if (!isProblem(error)) throw error
  }
}
