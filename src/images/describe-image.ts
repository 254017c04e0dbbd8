import { type Digest, isProblem } from '../base/index.ts'
import type { ImageDetail, ImageSummary } from '../contract/index.ts'
import { documentKind, formatPlatform } from '../formats/index.ts'
import type { PinSet } from '../state/index.ts'
import { findImage, type StoredImage, storedImages } from './find-image.ts'
import { type ImageGraph, readImageGraph } from './image-graph.ts'
import { imageLayers, missingLayers } from './image-layers.ts'
import { usersOf } from './image-users.ts'
import type { ImagesContext, ImageUser } from './images-context.ts'
import { isoTime } from './iso-time.ts'
import { findKeptLower } from './kept/find-kept-lower.ts'
import { findLower } from './lowers/ensure-lower.ts'
import { lowerKinds } from './lowers/lower-kind.ts'
import { type PlatformImage, readPlatform } from './resolve-image.ts'

/** Every image, in the order of index.json. One that is damaged is there too, and says so: listing never fails for a single image. */
export async function listImages(context: ImagesContext): Promise<ImageSummary[]> {
  const stored = storedImages((await context.blobs.readIndex()).entries)
  // Whatever else is kept in the layout is not for sheds.
  const images = stored.filter(({ descriptor }) => documentKind(descriptor.mediaType) !== undefined)
  const users = await knownUsers(context)
  return await Promise.all(images.map((image) => summarizeImage(context, image, users)))
}

/**
 * All about one image.
 *
 * @throws Problem IMAGE_NOT_FOUND, PLATFORM_NOT_FOUND when it has nothing for this host, RECORD_INVALID when it is damaged
 */
export async function inspectImage(context: ImagesContext, ref: string): Promise<ImageDetail> {
  const image = await findImage(context.blobs, ref)
  const { manifest, config } = await readPlatform(context, image.descriptor)
  return {
    ...(await summarizeImage(context, image, await knownUsers(context))),
    config_digest: manifest.config.digest,
    architecture: config.architecture,
    ...(config.variant === undefined ? {} : { variant: config.variant }),
    os: config.os,
    ...(config.author === undefined ? {} : { author: config.author }),
    annotations: manifest.annotations ?? {},
    config: {
      env: [...config.env],
      cmd: [...config.cmd],
      entrypoint: [...config.entrypoint],
      working_dir: config.workingDir,
      user: config.user,
      labels: config.labels,
      ...(config.stopSignal === undefined ? {} : { stop_signal: config.stopSignal }),
      exposed_ports: [...config.exposedPorts],
      volumes: [...config.volumes],
    },
    layer_list: manifest.layers.map((layer, i) => ({
      digest: layer.digest,
      diff_id: config.diffIds[i] ?? '',
      media_type: layer.mediaType,
      size_bytes: layer.size,
    })),
  }
}

/** What a list shows of an image. */
export async function summarizeImage(
  context: ImagesContext,
  { descriptor, tags }: StoredImage,
  users: readonly ImageUser[],
): Promise<ImageSummary> {
  const pins = await knownPins(context)
  const base = {
    tags: [...tags],
    digest: descriptor.digest,
    media_type: descriptor.mediaType,
    ...(pins?.has({ kind: 'image', id: descriptor.digest }) ? { pinned: true as const } : {}),
  }
  const graph = await orProblem(readImageGraph(context.blobs, descriptor))
  if ('problem' in graph) return { ...base, ...graph, layers: 0, size_bytes: descriptor.size, used_by: [] }
  const here = await orProblem(readPlatform(context, descriptor))
  return {
    ...base,
    ...('problem' in here ? {} : await platformFields(context, here)),
    layers: 'problem' in here ? 0 : here.manifest.layers.length,
    size_bytes: await storedBytes(context, graph),
    used_by: usersOf(graph, descriptor.digest, users),
  }
}

async function platformFields({ layout, blobs }: ImagesContext, image: PlatformImage) {
  const { manifestDescriptor, config } = image
  const { digest } = manifestDescriptor
  const createdAt = isoTime(config.created)
  const lower = findLower(layout, digest, lowerKinds) ?? findKeptLower(layout, digest)
  const missing = await missingLayers(blobs, imageLayers(blobs, image))
  return {
    manifest_digest: manifestDescriptor.digest,
    platform: formatPlatform(config),
    ...(createdAt === undefined ? {} : { created_at: createdAt }),
    ...(lower && { lower_bytes: lower.bytes, lower_profile: lower.kind.profile, lower_form: lower.kind.form }),
    ...(lower !== undefined && missing.length > 0 ? { boot_only: true as const } : {}),
  }
}

async function storedBytes({ blobs }: ImagesContext, { blobs: mine }: ImageGraph): Promise<number> {
  const sizes = await Promise.all([...mine.keys()].map((digest: Digest) => blobs.size(digest)))
  return sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0)
}

/** Listing does not fail for a shed whose record cannot be read; removing does. */
async function knownUsers({ users }: ImagesContext): Promise<readonly ImageUser[]> {
  const known = await orProblem(users())
  return 'problem' in known ? [] : known
}

/** Nor for pins that cannot be read. */
async function knownPins({ pins }: ImagesContext): Promise<PinSet | undefined> {
  const known = await orProblem(pins.read())
  return 'problem' in known ? undefined : known
}

async function orProblem<T extends object>(work: Promise<T>): Promise<T | { problem: string }> {
  try {
    return await work
  } catch (error) {
    if (isProblem(error)) return { problem: error.message }
    throw error
  }
}
