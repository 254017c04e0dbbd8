import { type Digest, Problem } from '../base/index.ts'
import type { BlobStore } from '../blobs/index.ts'
import {
  type Descriptor,
  documentKind,
  type ImageConfig,
  type Manifest,
  type Platform,
  platformNotFound,
  runsOn,
  selectPlatform,
} from '../formats/index.ts'
import { findImage } from './find-image.ts'
import { imageConfigOf } from './image-config.ts'
import { readIndexDocument, readManifestAndConfig } from './image-graph.ts'
import type { ImagesContext } from './images-context.ts'

/** The image of one platform. */
export interface ResolvedImage {
  /** As it was asked for. */
  readonly ref: string
  readonly manifestDigest: Digest
  readonly manifest: Manifest
  readonly config: ImageConfig
  /** What to run in it, and how. */
  readonly runtime: Pick<ImageConfig, 'env' | 'workingDir' | 'user' | 'entrypoint' | 'cmd'>
}

/**
 * The image that a reference stands for on this host, read and checked.
 *
 * @throws Problem IMAGE_NOT_FOUND, PLATFORM_NOT_FOUND, INVALID_REQUEST, RECORD_INVALID (a document is damaged), IMAGE_UNSUPPORTED
 */
export async function resolveImage(context: ImagesContext, ref: string): Promise<ResolvedImage> {
  const { descriptor } = await findImage(context.blobs, ref)
  const { manifestDescriptor, manifest, config } = await readPlatform(context, descriptor)
  return { ref, manifestDigest: manifestDescriptor.digest, manifest, config, runtime: config }
}

export interface PlatformImage {
  readonly manifestDescriptor: Descriptor
  readonly manifest: Manifest
  readonly config: ImageConfig
}

/** The image of this host's platform that a descriptor leads to. */
export async function readPlatform(
  { blobs, platform }: Pick<ImagesContext, 'blobs' | 'platform'>,
  descriptor: Descriptor,
): Promise<PlatformImage> {
  const manifestDescriptor = await descend(blobs, descriptor, { platform, depth: 0 })
  const { manifest, config: said } = await readManifestAndConfig(blobs, manifestDescriptor)
  const config = imageConfigOf(manifest, said)
  if (!runsOn(config, platform)) throw platformNotFound(platform, [config])
  return { manifestDescriptor, manifest, config }
}

/** Indexes in indexes are followed this far. */
const maxDepth = 4

/** The manifest of a platform below a descriptor. */
async function descend(
  blobs: BlobStore,
  descriptor: Descriptor,
  { platform, depth }: { platform: Platform; depth: number },
): Promise<Descriptor> {
  if (documentKind(descriptor.mediaType) !== 'index') return descriptor
  if (depth >= maxDepth) throw new Problem('IMAGE_INVALID', `its indexes are nested more than ${maxDepth} deep`)
  const member = selectPlatform(await readIndexDocument(blobs, descriptor), platform)
  return await descend(blobs, member, { platform, depth: depth + 1 })
}
