import { rm } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { type DataLayout, type Digest, isProblem, Problem } from '../base/index.ts'
import { readStaged, type StagedBlob } from '../blobs/index.ts'
import { derivedFiles } from './cache/derived-files.ts'
import type { ImagesContext } from './images-context.ts'
import type { BlobLease } from './leases.ts'
import type { ChosenImage } from './load/choose-image.ts'
import { blobsToInstall } from './load/gather-image.ts'
import type { LongWork } from './long-work.ts'
import { forEachAtOnce } from './lowers/for-each-at-once.ts'
import type { Origin } from './origin.ts'
import { reachable } from './plan-removal.ts'
import { withTags } from './tag-image.ts'

/** Each thread holds buffers and a heap of its own. */
const maxWorkers = 4

export interface CommitImages extends LongWork {
  readonly chosen: readonly ImageToCommit[]
  readonly lease: BlobLease
  /** Gets what becomes visible on the way. @see orUndo */
  readonly made: Set<Made>
}

export interface ImageToCommit {
  readonly image: ChosenImage
  readonly tags: readonly string[]
  readonly origin?: Origin
}

/** Layers are unpacked, then blobs become visible, then names: the last step is the one that makes the images. */
export async function commitImages(
  context: ImagesContext,
  { chosen, lease, made, ...work }: CommitImages,
): Promise<void> {
  await unpackLayers(context, { layers: chosen.flatMap(({ image }) => layersOf(image)), lease, made, ...work })
  if (work.signal?.aborted) throw new Problem('CANCELLED', 'cancelled', { cause: work.signal.reason })
  await installBlobs(context, blobsToInstall(chosen.map(({ image }) => image.root)), made)
  await context.blobs.updateIndex((index) => ({
    ...index,
    entries: chosen.reduce(
      (entries, { image, tags, origin }) => withTags(entries, image.root.descriptor, tags, origin),
      index.entries,
    ),
  }))
  const manifests = chosen.map(({ image }) => image.host.descriptor.digest)
  await context.keeper?.grown({ why: 'an image came', manifests, ...work })
}

async function installBlobs({ blobs }: ImagesContext, staged: readonly StagedBlob[], made: Set<Made>): Promise<void> {
  const own = new Map(staged.map(({ digest }) => [digest, { digest, remove: () => blobs.remove(digest) }]))
  for (const one of own.values()) made.add(one)
  // Two pulls that share a download both want to install it: what the other one did is not for us to take back.
  for (const digest of await blobs.install(staged)) {
    const one = own.get(digest)
    if (one !== undefined) made.delete(one)
  }
}

/** Runs work that puts things where others can see them; when it fails, takes them back. */
export async function orUndo<T>(
  context: ImagesContext,
  lease: BlobLease,
  work: (made: Set<Made>) => Promise<T>,
): Promise<T> {
  const made = new Set<Made>()
  try {
    return await work(made)
  } catch (error) {
    await undo(context, made, lease)
    throw error
  }
}

/** Something that has been put where others can see it. */
export interface Made {
  readonly digest: Digest
  readonly remove: () => Promise<unknown>
}

/** Takes back what was made, except what another one has made too, or counts on. */
async function undo(context: ImagesContext, made: ReadonlySet<Made>, lease: BlobLease): Promise<void> {
  await context.leases.removal(async () => {
    try {
      const kept = await reachable(context)
      for (const { digest, remove } of made) {
        if (lease.isAlone(digest) && !kept.blobs.has(digest) && !kept.diffIds.has(digest)) await remove()
      }
    } catch (error) {
      // What nobody refers to is found by prune. The failure that brought us here is the one to tell.
      if (!isProblem(error)) throw error
    }
  })
}

interface Layer {
  readonly diffId: Digest
  readonly blob: StagedBlob
}

function layersOf({ host, manifest, config }: ChosenImage): Layer[] {
  const blobs = new Map(host.members.map(({ descriptor, blob }) => [descriptor.digest, blob?.path]))
  return manifest.layers.map(({ digest, size }, i) => {
    const [diffId, path] = [config.diffIds[i], blobs.get(digest)]
    if (diffId === undefined || path === undefined) throw new Problem('INTERNAL', 'a whole image has lost a layer')
    return { diffId, blob: { digest, size, path } }
  })
}

interface UnpackLayers extends LongWork {
  readonly layers: readonly Layer[]
  readonly lease: BlobLease
  readonly made: Set<Made>
}

/** Proves every diff_id. The largest layers first, so that no thread is left alone with one at the end. */
async function unpackLayers(
  context: ImagesContext,
  { layers, lease, made, onProgress, signal }: UnpackLayers,
): Promise<void> {
  const { layout, leases } = context
  const distinct = [...new Map(layers.map((layer) => [layer.diffId, layer])).values()]
  for (const { diffId } of distinct) lease.add(diffId)
  await leases.settled()
  const largestFirst = distinct.sort((a, b) => b.blob.size - a.blob.size)
  await forEachAtOnce(largestFirst, Math.min(availableParallelism(), maxWorkers), async ({ diffId, blob }) => {
    const options = { layout, diffId, ...(onProgress && { onProgress }), ...(signal && { signal }) }
    const outcome = await readStaged(layout, blob, (path) => context.unpackLayer({ ...options, path }))
    if (outcome === 'present') return
    made.add(madeLayer(layout, diffId))
  })
}

/** A layer that was unpacked into the cache. */
export function madeLayer(layout: DataLayout, diffId: Digest): Made {
  return { digest: diffId, remove: () => removeLayerFiles(layout, diffId) }
}

async function removeLayerFiles(layout: DataLayout, diffId: Digest): Promise<void> {
  for (const { path } of derivedFiles(layout, 'layer', diffId)) await rm(path, { force: true })
}
