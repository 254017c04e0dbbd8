import { lstat, open, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import {
  type Digest,
  DigestHasher,
  digestAlgorithm,
  digestHex,
  errnoCode,
  newId,
  Problem,
  problemFromSystem,
  shortDigest,
} from '../base/index.ts'
import type { BlobStore } from '../blobs/index.ts'
import { mediaTypes, tarEnd, tarHeader, tarPadding } from '../formats/index.ts'
import { installFile } from '../host/index.ts'
import { type FoundImage, findImage } from './find-image.ts'
import { readImageGraph } from './image-graph.ts'
import { imageIncomplete } from './image-layers.ts'
import type { ImagesContext } from './images-context.ts'
import type { LongWork } from './long-work.ts'
import { indexMember } from './tag-image.ts'

export interface SaveRequest extends LongWork {
  readonly refs: readonly string[]
}

/** An OCI archive, to be read once. */
export interface ImageArchive extends AsyncIterable<Buffer> {
  /** How large it is. */
  readonly bytes: number
}

/**
 * An OCI archive of images as a stream. The same images give the same bytes, whatever the store and whenever: members in the order of their
 * names, no times, no owners. When the promise resolves, every reference was found and every blob is there.
 *
 * The stream fails, and is not to be taken for an archive, when a blob turns out to be damaged.
 * @throws Problem IMAGE_NOT_FOUND, IMAGE_INCOMPLETE, RECORD_INVALID; from the stream: DIGEST_MISMATCH, CANCELLED
 */
export async function archiveImages(context: ImagesContext, request: SaveRequest): Promise<ImageArchive> {
  const images = await Promise.all([...new Set(request.refs)].map((ref) => findImage(context.blobs, ref)))
  const blobs = await blobsOf(context, images)
  const members = membersOf(context, { ...request, images, blobs })
  const bytes = members.reduce((sum, { header, size }) => sum + header.length + size + tarPadding(size).length, 0)
  const source = writeArchive(context, { members, blobs: blobs.keys() })
  return { bytes: bytes + tarEnd().length, [Symbol.asyncIterator]: () => source }
}

/**
 * Writes an OCI archive to a path, which must not exist; on failure it does not.
 *
 * @returns bytes written
 * @throws Problem as archiveImages, and FILE_EXISTS, NO_SPACE, PERMISSION_DENIED
 */
export async function saveImages(context: ImagesContext, request: SaveRequest & { path: string }): Promise<number> {
  const { path } = request
  await refuseExisting(path)
  const temporary = `${dirname(path)}/.cowshed-save-${newId()}.tmp`
  try {
    const bytes = await writeStream(temporary, await archiveImages(context, request))
    await refuseExisting(path)
    await installFile({ from: temporary, to: path, mode: 0o644 })
    return bytes
  } catch (error) {
    await rm(temporary, { force: true })
    throw problemFromSystem(error, `save to ${path}`)
  }
}

async function refuseExisting(path: string): Promise<void> {
  try {
    await lstat(path)
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return
    throw error
  }
  throw new Problem('FILE_EXISTS', `${path} is there already`, { hint: 'choose another path, or remove it first' })
}

async function writeStream(path: string, source: AsyncIterable<Buffer>): Promise<number> {
  let bytes = 0
  await using file = await open(path, 'wx', 0o600)
  for await (const chunk of source) {
    await file.writeFile(chunk)
    bytes += chunk.length
  }
  return bytes
}

/** Every blob of the images with its size, in the order of their names in the archive. */
async function blobsOf({ blobs }: ImagesContext, images: readonly FoundImage[]): Promise<Map<Digest, number>> {
  const found = new Map<Digest, number>()
  for (const { descriptor, tag } of images) {
    const ref = tag ?? descriptor.digest
    for (const digest of (await readImageGraph(blobs, descriptor)).blobs.keys()) {
      const size = await blobs.size(digest)
      if (size === undefined) throw imageIncomplete(ref, digest)
      found.set(digest, size)
    }
  }
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)))
}

interface Member {
  readonly header: Buffer
  readonly size: number
  readonly content: AsyncIterable<Buffer> | Iterable<Buffer>
}

interface WriteMembers extends SaveRequest {
  readonly images: readonly FoundImage[]
  readonly blobs: ReadonlyMap<Digest, number>
}

function membersOf({ blobs: store }: ImagesContext, request: WriteMembers): Member[] {
  const members = [directory('blobs')]
  let algorithm: string | undefined
  for (const [digest, size] of request.blobs) {
    if (digestAlgorithm(digest) !== algorithm) {
      algorithm = digestAlgorithm(digest)
      members.push(directory(`blobs/${algorithm}`))
    }
    const path = Buffer.from(`blobs/${algorithm}/${digestHex(digest)}`)
    const header = tarHeader({ path, type: 'file', mode: 0o644, size })
    members.push({ header, size, content: verifiedBlob(store, { ...request, digest, size }) })
  }
  return [...members, file('index.json', indexOf(request.images)), file('oci-layout', '{"imageLayoutVersion":"1.0.0"}')]
}

interface WriteArchive {
  readonly members: readonly Member[]
  readonly blobs: Iterable<Digest>
}

async function* writeArchive(
  context: ImagesContext,
  { members, blobs }: WriteArchive,
): AsyncGenerator<Buffer, void, undefined> {
  using lease = context.leases.openBlobLease()
  for (const digest of blobs) lease.add(digest)
  await context.leases.settled()
  for (const { header, size, content } of members) {
    yield header
    yield* content
    yield tarPadding(size)
  }
  yield tarEnd()
}

interface VerifiedBlob extends LongWork {
  readonly digest: Digest
  readonly size: number
}

async function* verifiedBlob(
  store: BlobStore,
  { digest, size, onProgress, signal }: VerifiedBlob,
): AsyncGenerator<Buffer> {
  const hasher = new DigestHasher(digestAlgorithm(digest))
  for await (const chunk of store.read(digest)) {
    if (signal?.aborted) throw new Problem('CANCELLED', 'cancelled', { cause: signal.reason })
    hasher.update(chunk)
    if (hasher.bytes > size) break
    yield chunk
    onProgress?.({ phase: 'save', item: shortDigest(digest), done: hasher.bytes, total: size })
  }
  if (hasher.bytes === size && hasher.digest() === digest) return
  throw new Problem('DIGEST_MISMATCH', `blob ${shortDigest(digest)} in the store is damaged`, {
    hint: 'load the image again: a damaged blob is then replaced',
    data: { digest },
  })
}

/** Members by tag, those without one first. */
function indexOf(images: readonly FoundImage[]): string {
  const members = images.map(({ descriptor, tag }) => ({ key: `${tag ?? ''} ${descriptor.digest}`, descriptor, tag }))
  const distinct = new Map(members.map((member) => [member.key, member]))
  const sorted = [...distinct.values()].sort((a, b) => (a.key < b.key ? -1 : 1))
  const manifests = sorted.map(({ descriptor, tag }) => indexMember(descriptor, tag))
  return JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests })
}

function directory(path: string): Member {
  return { header: tarHeader({ path: Buffer.from(path), type: 'directory', mode: 0o755 }), size: 0, content: [] }
}

function file(path: string, text: string): Member {
  const content = Buffer.from(text)
  const header = tarHeader({ path: Buffer.from(path), type: 'file', mode: 0o644, size: content.length })
  return { header, size: content.length, content: [content] }
}
