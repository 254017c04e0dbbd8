import { createReadStream } from 'node:fs'
import { rm, stat } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { type DataLayout, type Digest, isProblem, Problem, problemFromSystem } from '../../base/index.ts'
import type { ImageSummary } from '../../contract/index.ts'
import { openStaging } from '../../host/index.ts'
import { derivedFiles } from '../cache/derived-files.ts'
import { listImages } from '../describe-image.ts'
import type { ImagesContext, LongWork } from '../images-context.ts'
import type { BlobLease } from '../leases.ts'
import { forEachAtOnce } from '../lowers/for-each-at-once.ts'
import { reachable } from '../plan-removal.ts'
import { withTags } from '../tag-image.ts'
import type { TakeApart } from './archive-files.ts'
import { type ChosenImage, chooseImage } from './choose-image.ts'
import { blobsToInstall, gatherImage } from './gather-image.ts'
import type { LoadSource } from './load-source.ts'
import { nameImages } from './name-images.ts'
import { openArchive } from './open-archive.ts'
import { openLayoutDirectory } from './open-layout-directory.ts'
import { presenceChecker } from './presence.ts'

/** Each thread holds buffers and a heap of its own. */
const maxWorkers = 4

export interface LoadRequest extends LongWork {
  /** A file, a directory, or the bytes of an archive. */
  readonly source: { readonly path: string } | { readonly stream: AsyncIterable<Buffer> }
  /** What to call the image, when its source has no name for it or another one. */
  readonly tag?: string | undefined
}

/**
 * Brings the images of an archive or a layout directory into the store. Everything is verified before anything is visible: digests, sizes,
 * documents, and by unpacking them the layers' diff_ids. On failure the store is as it was.
 *
 * @throws Problem of many kinds: INVALID_REQUEST (no name), IMAGE_INVALID, IMAGE_UNSUPPORTED, PLATFORM_NOT_FOUND, BLOB_NOT_FOUND,
 *   DIGEST_MISMATCH, SIZE_MISMATCH, TAR_INVALID, COMPRESSION_INVALID, LIMIT_EXCEEDED, LAYER_INVALID, NO_SPACE, CANCELLED
 */
export async function loadImages(context: ImagesContext, request: LoadRequest): Promise<ImageSummary[]> {
  await using staging = await openStaging(context.layout, 'load')
  using lease = context.leases.openBlobLease()
  const isPresent = presenceChecker(context, lease)
  const onBytes = copyProgress(request)
  const source = await openSource(request, { staging: staging.path, isPresent, onBytes, signal: request.signal })
  const path = 'path' in request.source ? request.source.path : undefined
  const named = nameImages({ roots: source.roots, tag: request.tag, path, platform: context.platform })

  const chosen: { image: ChosenImage; tags: readonly string[] }[] = []
  for (const { descriptor, tags } of named) {
    const gathered = await gatherImage(descriptor, { source, blobs: context.blobs, isPresent })
    chosen.push({ image: await chooseImage(gathered, context.platform), tags })
  }
  await commit(context, { ...request, chosen, lease })
  // A removal that was planned before the images were visible looks at our lease until it ends.
  await context.leases.settled()
  const digests = new Set<string>(chosen.map(({ image }) => image.root.descriptor.digest))
  return (await listImages(context)).filter(({ digest }) => digests.has(digest))
}

function openSource({ source }: LoadRequest, request: Omit<TakeApart, 'source'>): Promise<LoadSource> {
  return 'stream' in source ? openArchive({ ...request, source: source.stream }) : openPath(source.path, request)
}

async function openPath(path: string, request: Omit<TakeApart, 'source'>): Promise<LoadSource> {
  const stats = await statOf(path)
  if (stats.isDirectory()) return await openLayoutDirectory(path, request)
  if (!stats.isFile()) {
    throw new Problem('INVALID_REQUEST', `${path} is neither a file nor a directory`, {
      hint: 'send it as a stream: cowshed image load - < FILE',
    })
  }
  return await openArchive({ ...request, source: createReadStream(path, { highWaterMark: 2 ** 20 }) })
}

async function statOf(path: string) {
  try {
    return await stat(path)
  } catch (error) {
    throw problemFromSystem(error, `load ${path}`)
  }
}

interface Commit extends LongWork {
  readonly chosen: readonly { readonly image: ChosenImage; readonly tags: readonly string[] }[]
  readonly lease: BlobLease
}

/** Layers are unpacked, then blobs become visible, then names: the last step is the one that makes the images. */
async function commit(context: ImagesContext, { chosen, lease, ...work }: Commit): Promise<void> {
  const made: Made[] = []
  try {
    await unpackLayers(context, { layers: chosen.flatMap(({ image }) => layersOf(image)), lease, made, ...work })
    if (work.signal?.aborted) throw new Problem('CANCELLED', 'cancelled', { cause: work.signal.reason })
    for (const blob of blobsToInstall(chosen.map(({ image }) => image.root))) {
      made.push({ digest: blob.digest, remove: () => context.blobs.remove(blob.digest) })
      await context.blobs.install(blob)
    }
    await context.blobs.updateIndex((index) => ({
      ...index,
      entries: chosen.reduce(
        (entries, { image, tags }) => withTags(entries, image.root.descriptor, tags),
        index.entries,
      ),
    }))
  } catch (error) {
    await undo(context, made, lease)
    throw error
  }
}

/** Something that this load has put where others can see it. */
interface Made {
  readonly digest: Digest
  readonly remove: () => Promise<unknown>
}

/** Takes back what this load has made, except what another one has made too, or counts on. */
async function undo(context: ImagesContext, made: readonly Made[], lease: BlobLease): Promise<void> {
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
  readonly path: string
  readonly bytes: number
}

function layersOf({ host, manifest, config }: ChosenImage): Layer[] {
  const blobs = new Map(host.members.map(({ descriptor, blob }) => [descriptor.digest, blob?.path]))
  return manifest.layers.map(({ digest, size }, i) => {
    const [diffId, path] = [config.diffIds[i], blobs.get(digest)]
    if (diffId === undefined || path === undefined) throw new Problem('INTERNAL', 'a whole image has lost a layer')
    return { diffId, path, bytes: size }
  })
}

interface UnpackLayers extends LongWork {
  readonly layers: readonly Layer[]
  readonly lease: BlobLease
  readonly made: Made[]
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
  const largestFirst = distinct.sort((a, b) => b.bytes - a.bytes)
  await forEachAtOnce(largestFirst, Math.min(availableParallelism(), maxWorkers), async ({ diffId, path }) => {
    const outcome = await context.unpackLayer({
      layout,
      diffId,
      path,
      ...(onProgress && { onProgress }),
      ...(signal && { signal }),
    })
    if (outcome === 'present') return
    const remove = () => removeLayerFiles(layout, diffId)
    made.push({ digest: diffId, remove })
  })
}

async function removeLayerFiles(layout: DataLayout, diffId: Digest): Promise<void> {
  for (const { path } of derivedFiles(layout, 'layer', diffId)) await rm(path, { force: true })
}

function copyProgress({ onProgress }: LongWork): TakeApart['onBytes'] {
  return onProgress && ((item, done, total) => onProgress({ phase: 'copy', item, done, total }))
}
