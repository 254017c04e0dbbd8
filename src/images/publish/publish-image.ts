import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { type Digest, digestOf, type LowerProfile, shortDigest, writerVersion } from '../../base/index.ts'
import {
  type ChunkIndex,
  type Descriptor,
  emptyConfig,
  encodeChunkIndex,
  encodePublishedIndex,
  encodeRootfsManifest,
  leafHashBytes,
  mediaTypes,
  type Platform,
  type RootfsDocument,
  type RootfsManifest,
} from '../../formats/index.ts'
import { openStaging } from '../../host/index.ts'
import { formatRepository } from '../../wires/index.ts'
import { hashLeaves } from '../boot-only/hash-leaves.ts'
import { findImage } from '../find-image.ts'
import { findManifest } from '../find-manifest.ts'
import { imageIncomplete, imageLayers } from '../image-layers.ts'
import type { ImagesContext } from '../images-context.ts'
import type { LongWork } from '../long-work.ts'
import { writeLowerParts } from '../lowers/ensure-lower.ts'
import { type ResolvedImage, resolveImage } from '../resolve-image.ts'
import { otherPlatforms } from './other-platforms.ts'
import { evenChunks } from './part-chunks.ts'
import { Publication } from './publication.ts'
import { publishedName } from './published-name.ts'
import type { Sent } from './send-blob.ts'
import { type SentPart, sendLayerData } from './send-layer-data.ts'
import { sendTraces } from './send-traces.ts'
import { storePart } from './store-part.ts'

export interface PublishRequest extends LongWork {
  readonly ref: string
  /** What the published image will be called: `registry.example/team/app:v1`. */
  readonly destination: string
  /** Of an image of several; this host's unless told. */
  readonly platform?: Platform | undefined
  /** How the lower is laid out; as this host would build it unless told. */
  readonly profile?: LowerProfile | undefined
  /** Files of boot traces, besides those that this host and the tag have of it. */
  readonly traces?: readonly string[] | undefined
  /** Plain http. */
  readonly insecure?: boolean | undefined
}

export interface PublishedImage {
  /** In full, with its tag. */
  readonly destination: string
  /** Of the index that the tag points at. */
  readonly digest: Digest
  /** Of the image, as it was. */
  readonly manifestDigest: Digest
  readonly rootfsDigest: Digest
  readonly platform: Platform
  readonly profile: LowerProfile
  /** Platforms that the tag had already, and has still. */
  readonly otherPlatforms: readonly Platform[]
  /** Of the lower that hosts will boot from. */
  readonly lowerBytes: number
  /** What a host fetches of it when it has nothing: bootstrap, data blobs and chunk index. */
  readonly rootfsBytes: number
  /** The names of the boot traces that came with it. */
  readonly traces: readonly string[]
  readonly uploadedBytes: number
  /** Blobs by how they came to be there. */
  readonly blobs: Readonly<Record<Sent, number>>
}

/**
 * Puts an image of one platform into a registry together with the form that hosts boot from. The tag is written last: until then nobody sees anything of it.
 * What the tag has for other platforms stays. What the registry has already is not sent again; what an earlier publication made of a layer is not made again. Boot traces of the same lower come with it:
 * publishing once more adds those that there are by then.
 *
 * Progress: `unpack` for layers that are not in the cache, `compress` in bytes of data, `hash` in bytes of the lower, `push` in bytes of each blob.
 *
 * @throws Problem IMAGE_NOT_FOUND, PLATFORM_NOT_FOUND, IMAGE_INCOMPLETE, CANCELLED, NO_SPACE; what collectTraces, unpacking and the registry's client throw
 */
export async function publishImage(context: ImagesContext, request: PublishRequest): Promise<PublishedImage> {
  const { repository: name, tag } = publishedName(request.destination, 'image publish IMAGE REGISTRY/NAME:TAG')
  const { origin } = await findImage(context.blobs, request.ref)
  const { platform: wanted = context.platform, signal } = request
  const image = await resolveImage({ ...context, platform: wanted }, request.ref)
  const profile = request.profile ?? (await context.lowerKinds())[0]?.profile ?? 'plain'
  const repository = context.registries.repository(name, { plainHttp: request.insecure || undefined })
  using _ = context.leases.holdImage(image.manifestDigest)
  await context.leases.settled()
  await using staging = await openStaging(context.layout, `publish-${shortDigest(image.manifestDigest)}`)
  const publication = new Publication({ ...request, repository, mountFrom: origin.repositories })
  const subject = await sendImage(context, { publication, image, ref: request.ref })
  const traces = request.traces ?? []
  const rootfs = await sendRootfs(context, { publication, image, subject, profile, tag, traces, staging: staging.path })
  const { architecture, os, variant } = image.config
  const platform = { architecture, os, variant }
  const others = await otherPlatforms({ repository, tag, platform, signal })
  const index = encodePublishedIndex({ image: { ...subject, platform }, rootfs: rootfs.document }, others)
  await repository.writeManifest({ reference: tag, mediaType: mediaTypes.ociIndex, bytes: index, signal })
  return {
    destination: `${formatRepository(name)}:${tag}`,
    digest: digestOf(index),
    manifestDigest: image.manifestDigest,
    rootfsDigest: rootfs.document.descriptor.digest,
    platform,
    profile,
    otherPlatforms: others.map((other) => other.platform),
    lowerBytes: rootfs.lowerBytes,
    rootfsBytes: rootfs.storedBytes,
    traces: rootfs.traces,
    uploadedBytes: publication.uploadedBytes,
    blobs: publication.blobs,
  }
}

interface SendImage {
  readonly publication: Publication
  readonly image: ResolvedImage
  readonly ref: string
}

/** The image as it is: its bytes are the store's. */
async function sendImage({ blobs }: ImagesContext, { publication, image, ref }: SendImage): Promise<Descriptor> {
  const { manifest, manifestDigest } = image
  const members = [...new Map([...manifest.layers, manifest.config].map((one) => [one.digest, one])).values()]
  for (const { digest, size } of members) {
    if ((await blobs.size(digest)) !== size) throw imageIncomplete(ref, digest)
  }
  for (const { digest, size } of members) {
    const path = blobs.path(digest)
    await publication.send({ digest, size, open: (start) => createReadStream(path, { start }) })
  }
  const descriptor = await findManifest(blobs, manifestDigest, 'a publication needs')
  const bytes = await blobs.readBytes(manifestDigest, descriptor.size)
  const { repository, signal } = publication.to
  await repository.writeManifest({ reference: manifestDigest, mediaType: manifest.mediaType, bytes, signal })
  return { mediaType: manifest.mediaType, digest: manifestDigest, size: bytes.length }
}

interface SendRootfs {
  readonly publication: Publication
  readonly image: ResolvedImage
  readonly subject: Descriptor
  readonly profile: LowerProfile
  readonly tag: string
  /** Files of boot traces. */
  readonly traces: readonly string[]
  readonly staging: string
}

interface SentRootfs {
  readonly document: RootfsDocument
  readonly lowerBytes: number
  readonly storedBytes: number
  readonly traces: readonly string[]
}

async function sendRootfs(
  context: ImagesContext,
  { publication, image, subject, profile, tag, traces: files, staging }: SendRootfs,
): Promise<SentRootfs> {
  const { layout } = context
  const { onProgress, signal } = publication.to
  const bootstrapPath = join(staging, 'bootstrap')
  const layers = imageLayers(context.blobs, image)
  const lower = await writeLowerParts({
    layout,
    manifest: subject.digest,
    layers,
    kind: { profile, form: 'whole' },
    to: bootstrapPath,
    ...(onProgress && { onProgress }),
    ...(signal && { signal }),
  })
  const bootstrap = await sendBootstrap(publication, bootstrapPath, lower.bytes)
  const data: SentPart[] = []
  for (const [at, { diffId, bytes }] of lower.blobs.entries()) {
    const sent = await sendLayerData(layout, {
      to: publication.to,
      ...{ diffId, profile },
      lowerBytes: bytes,
      staged: join(staging, `data-${at}`),
    })
    publication.count(sent.sent, sent.size)
    data.push(sent)
  }
  const leaves = await hashLeaves({
    paths: [bootstrapPath, ...lower.blobs.map(({ path }) => path)],
    onBytes: (done) => onProgress?.({ phase: 'hash', done, total: lower.totalBytes }),
    signal,
  })
  const index: ChunkIndex = {
    writerVersion,
    profile,
    parts: [bootstrap.part, ...data.map(({ part }) => part)],
    leaves,
  }
  const chunkIndex = await publication.sendBytes(encodeChunkIndex(index))
  await publication.sendBytes(emptyConfig.bytes)
  const traced = { chunkIndex: chunkIndex.digest, leaves: leaves.length / leafHashBytes }
  const { traces } = await sendTraces(publication, { layout, lower: traced, tag, files })
  const manifest: RootfsManifest = { writerVersion, profile, subject, bootstrap, data, chunkIndex, traces }
  const storedBytes = [bootstrap, ...data, chunkIndex].reduce((sum, { size }) => sum + size, 0)
  const bytes = encodeRootfsManifest(manifest)
  const document = { descriptor: await publication.sendDocument(mediaTypes.ociManifest, bytes), bytes }
  return { document, lowerBytes: lower.totalBytes, storedBytes, traces: traces.map(({ name }) => name) }
}

/** Of this image alone, and small. */
async function sendBootstrap(publication: Publication, from: string, lowerBytes: number) {
  const to = `${from}.zst`
  const { signal } = publication.to
  const { storedBytes: size, ...part } = await storePart({ from, to, lengths: await evenChunks(from), signal })
  const { digest } = part
  await publication.send({ digest, size, open: (start) => createReadStream(to, { start }) })
  return { digest, size, lowerBytes, part }
}
