import {
  type Digest,
  DigestHasher,
  digestAlgorithm,
  type LowerProfile,
  lowerProfiles,
  Problem,
  shortDigest,
} from '../../base/index.ts'
import {
  type ChunkIndex,
  chunkIndexLimits,
  type Descriptor,
  decodeChunkIndex,
  type ImageIndex,
  inlineManifest,
  parseIndex,
  parseManifest,
  parseRootfsManifest,
  type RootfsManifest,
  type RootfsPart,
  rootfsMembers,
  type StoredPart,
} from '../../formats/index.ts'
import type { StoredIndex } from '../../lazy/index.ts'
import type { RemoteManifest, Repository } from '../../wires/index.ts'

/** The form of an image that hosts boot from, as a registry has it; its blobs are still there. */
export interface PublishedRootfs {
  readonly descriptor: Descriptor
  readonly manifest: RootfsManifest & { readonly profile: LowerProfile }
  readonly index: ChunkIndex
  /** The chunk index as it came. */
  readonly indexBytes: Buffer
}

export interface ReadPublishedRootfs {
  readonly repository: Pick<Repository, 'readManifest' | 'readBlob'>
  /** From what was asked for down to the one that names the image. */
  readonly indexes: readonly RemoteManifest[]
  /** Of the image's manifest. */
  readonly image: Digest
  /** That guests of this host can read, the preferred one first. */
  readonly profiles: readonly LowerProfile[]
  /** Hears which rootfs it will be before its chunk index is asked for. @returns that index, when it is on this host */
  readonly onManifest?: ((manifest: PublishedRootfs['manifest']) => Promise<StoredIndex | undefined>) | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * The rootfs that was published with an image. Everything in it was verified from the digest of what was asked for on, and is consistent in itself.
 *
 * @returns undefined when there is none that this cowshed can use: then the image is pulled as any other
 * @throws Problem IMAGE_INVALID, CHUNK_INDEX_INVALID, DIGEST_MISMATCH, SIZE_MISMATCH, LIMIT_EXCEEDED, and what the registry's client throws
 */
export async function readPublishedRootfs(request: ReadPublishedRootfs): Promise<PublishedRootfs | undefined> {
  const { indexes, image, profiles, onManifest } = request
  const found: Member[] = []
  for (const descriptor of indexes.map(parsed).flatMap(rootfsMembers)) {
    const member = await readMember(request, descriptor)
    if (member !== undefined && member.manifest.subject.digest === image) found.push(member)
  }
  const [best] = profiles.flatMap((profile) => found.filter(({ manifest }) => manifest.profile === profile))
  if (best === undefined) return undefined
  const { index, bytes: indexBytes } =
    (await onManifest?.(best.manifest)) ?? (await readChunkIndex(request, best.manifest))
  checkAgreement(best.manifest, index)
  return { ...best, index, indexBytes }
}

type Member = Pick<PublishedRootfs, 'descriptor' | 'manifest'>

/** Undefined for one of a profile that came after this cowshed. */
async function readMember(
  { repository, signal }: ReadPublishedRootfs,
  descriptor: Descriptor,
): Promise<Member | undefined> {
  const inline = inlineManifest(descriptor)
  const bytes = inline ?? (await repository.readManifest(descriptor.digest, { signal })).bytes
  if (bytes.length !== descriptor.size) throw wrongSize(descriptor.digest, descriptor.size, bytes.length)
  const manifest = parseRootfsManifest(parseManifest(bytes, descriptor.mediaType))
  const profile = lowerProfiles.find((known) => known === manifest.profile)
  return profile && { descriptor, manifest: { ...manifest, profile } }
}

function parsed({ descriptor, bytes }: RemoteManifest): ImageIndex {
  return parseIndex(bytes, descriptor.mediaType)
}

async function readChunkIndex(
  { repository, signal }: ReadPublishedRootfs,
  { chunkIndex: { digest, size } }: RootfsManifest,
): Promise<StoredIndex> {
  if (size > chunkIndexLimits.bytes) {
    throw new Problem('LIMIT_EXCEEDED', `the chunk index has ${size} bytes; ${chunkIndexLimits.bytes} are read`)
  }
  const hasher = new DigestHasher(digestAlgorithm(digest))
  const chunks: Buffer[] = []
  for await (const chunk of repository.readBlob({ digest, size, signal })) {
    hasher.update(chunk)
    chunks.push(chunk)
  }
  if (hasher.bytes !== size) throw wrongSize(digest, size, hasher.bytes)
  if (hasher.digest() !== digest) {
    throw new Problem('DIGEST_MISMATCH', `the chunk index ${shortDigest(digest)} is not what its digest says`)
  }
  const bytes = Buffer.concat(chunks)
  return { index: decodeChunkIndex(bytes), bytes }
}

/** Manifest and chunk index say the same of every part. @throws Problem IMAGE_INVALID */
function checkAgreement({ writerVersion, profile, bootstrap, data }: RootfsManifest, index: ChunkIndex): void {
  const parts = [bootstrap, ...data]
  const agree =
    index.writerVersion === writerVersion &&
    index.profile === profile &&
    index.parts.length === parts.length &&
    parts.every((part, at) => isSame(part, index.parts[at]))
  if (agree) return
  throw new Problem('IMAGE_INVALID', 'the rootfs manifest and its chunk index contradict each other')
}

function isSame(part: RootfsPart, stored: StoredPart | undefined): boolean {
  if (stored === undefined || stored.digest !== part.digest) return false
  return sum(stored.lengths) === part.lowerBytes && sum(stored.storedLengths) === part.size
}

function sum(lengths: Uint32Array): number {
  return lengths.reduce((total, length) => total + length, 0)
}

function wrongSize(digest: string, expected: number, found: number): Problem {
  return new Problem('SIZE_MISMATCH', `${shortDigest(digest)} should have ${expected} bytes and has ${found}`)
}
