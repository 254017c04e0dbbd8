import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { type Digest, Problem, problemFromSystem, shortDigest } from '../../base/index.ts'
import type { ImageSummary } from '../../contract/index.ts'
import { openStaging } from '../../host/index.ts'
import { commitImages, orUndo } from '../commit-images.ts'
import { listImages } from '../describe-image.ts'
import type { ImagesContext } from '../images-context.ts'
import type { LongWork } from '../long-work.ts'
import type { TakeApart } from './archive-files.ts'
import { type ChosenImage, chooseImage } from './choose-image.ts'
import { freeTags } from './free-tags.ts'
import { gatherImage } from './gather-image.ts'
import type { LoadRoot, LoadSource } from './load-source.ts'
import { nameImages } from './name-images.ts'
import { openArchive } from './open-archive.ts'
import { openLayoutDirectory } from './open-layout-directory.ts'
import { presenceChecker } from './presence.ts'

export interface LoadRequest extends LongWork {
  /** A file, a directory, or the bytes of an archive. */
  readonly source: { readonly path: string } | { readonly stream: AsyncIterable<Buffer> }
  /** What to call the image, when its source has no name for it or another one. */
  readonly tag?: string | undefined
  /** Takes this manifest and nothing else, under this name unless that is another image's or is no tag: without a name, then. */
  readonly only?: { readonly manifest: Digest; readonly ref: string } | undefined
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
  const named = await namedRoots(context, request, source.roots)

  const chosen: { image: ChosenImage; tags: readonly string[] }[] = []
  for (const { descriptor, tags } of named) {
    const gathered = await gatherImage(descriptor, { source, blobs: context.blobs, isPresent })
    chosen.push({ image: await chooseImage(gathered, context), tags })
  }
  await orUndo(context, lease, (made) => commitImages(context, { ...request, chosen, lease, made }))
  // A removal that was planned before the images were visible looks at our lease until it ends.
  await context.leases.settled()
  const digests = new Set<string>(chosen.map(({ image }) => image.root.descriptor.digest))
  return (await listImages(context)).filter(({ digest }) => digests.has(digest))
}

async function namedRoots({ platform, blobs }: ImagesContext, request: LoadRequest, roots: readonly LoadRoot[]) {
  const { source, tag, only } = request
  const path = 'path' in source ? source.path : undefined
  if (only === undefined) return nameImages({ roots, tag, path, platform })
  const root = roots.find(({ descriptor }) => descriptor.digest === only.manifest)
  if (root === undefined) throw new Problem('IMAGE_INVALID', `there is no image ${shortDigest(only.manifest)} in it`)
  return [{ ...root, tags: await freeTags(blobs, only) }]
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

function copyProgress({ onProgress }: LongWork): TakeApart['onBytes'] {
  return onProgress && ((item, done, total) => onProgress({ phase: 'copy', item, done, total }))
}
