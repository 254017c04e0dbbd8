import { type Digest, isDigest, isProblem, Problem } from '../base/index.ts'
import type { BlobStore, StoreIndexEntry } from '../blobs/index.ts'
import { type Descriptor, documentKind, formatReference, parseReference, platformOf, runsOn } from '../formats/index.ts'
import { readIndexDocument } from './image-graph.ts'
import { joinOrigins, noOrigin, type Origin, readOrigin } from './origin.ts'

/** One image of the store: what one or several entries of index.json point at. */
export interface StoredImage {
  /** A manifest, an index of several platforms, or an artifact that somebody else keeps here. */
  readonly descriptor: Descriptor
  /** Every tag, in full, sorted. */
  readonly tags: readonly string[]
  readonly origin: Origin
}

/** A stored image, and by which of its names it was found. */
export interface FoundImage extends StoredImage {
  /** Undefined when it was found by digest. */
  readonly tag: string | undefined
}

/** What index.json lists, in its order, each digest once. */
export function storedImages(entries: readonly StoreIndexEntry[]): StoredImage[] {
  const images = new Map<Digest, { descriptor: Descriptor; tags: Set<string>; origins: Origin[] }>()
  for (const { descriptor, refName } of entries) {
    if (descriptor === undefined) continue
    const image = images.get(descriptor.digest) ?? { descriptor, tags: new Set(), origins: [] }
    images.set(descriptor.digest, image)
    image.origins.push(readOrigin(descriptor.annotations))
    if (refName !== undefined) image.tags.add(fullTag(refName))
  }
  return [...images.values()].map(({ descriptor, tags, origins }) => ({
    descriptor,
    tags: [...tags].sort(),
    origin: joinOrigins(origins),
  }))
}

/**
 * Finds an image by tag, by digest, or by the first 6 or more hex digits of a digest that only one image has. A digest may also be that of
 * one platform's manifest inside an index, or of the index that a manifest was taken from.
 *
 * @throws Problem IMAGE_NOT_FOUND; INVALID_REQUEST for what is no reference, or a prefix that several images have
 */
export async function findImage(store: BlobStore, ref: string): Promise<FoundImage> {
  const images = storedImages((await store.readIndex()).entries)
  const wanted = parseWanted(ref)
  if (wanted.tag !== undefined) {
    const { tag } = wanted
    const image = images.find(({ tags }) => tags.includes(tag))
    if (image !== undefined) return { ...image, tag }
  }
  if (wanted.digest !== undefined) return findByDigest(store, images, { ref, prefix: wanted.digest })
  throw notFound(ref)
}

/** A tag as it is compared and shown: with its `latest`, and Docker Hub's names as people write them. */
export function fullTag(name: string): string {
  try {
    const reference = parseReference(name)
    return formatReference({ ...reference, name: familiarName(reference.name), digest: undefined })
  } catch (error) {
    // The specification lets a ref.name be more than a reference: it is then a name by itself.
    if (isProblem(error)) return name
    throw error
  }
}

/**
 * A tag that a person gives to an image, in full.
 *
 * @throws Problem INVALID_REQUEST, also for a reference with a digest
 */
export function parseTag(text: string): string {
  const reference = parseReference(text)
  if (reference.digest !== undefined) {
    throw new Problem('INVALID_REQUEST', `a tag cannot have a digest: ${JSON.stringify(text)}`)
  }
  return fullTag(text)
}

/** `docker.io/library/debian` is what people call `debian`. */
function familiarName(name: string): string {
  return name.replace(/^(?:docker\.io|index\.docker\.io)\/(?:library\/)?(?=[a-z0-9])/, '')
}

function parseWanted(ref: string): { tag?: string; digest?: string } {
  if (isDigest(ref)) return { digest: ref }
  if (/^sha256:[a-f0-9]{6,63}$/.test(ref)) return { tag: fullTag(ref), digest: ref }
  const reference = parseReference(ref)
  if (reference.digest !== undefined) return { digest: reference.digest }
  const tag = fullTag(ref)
  return /^[a-f0-9]{6,64}$/.test(ref) ? { tag, digest: `sha256:${ref}` } : { tag }
}

interface WantedDigest {
  readonly ref: string
  /** `sha256:` and at least 6 hex digits. */
  readonly prefix: string
}

async function findByDigest(
  store: BlobStore,
  images: readonly StoredImage[],
  { ref, prefix }: WantedDigest,
): Promise<FoundImage> {
  const found = new Map<Digest, StoredImage>()
  const ofIndex = images.filter(({ origin }) => origin.indexes.some((digest) => digest === prefix))
  // What was taken from that index, for this host when there are several.
  const [taken] = [...ofIndex.filter(isForHost), ...ofIndex]
  if (taken !== undefined) return { ...taken, tag: undefined }
  for (const image of images) if (image.descriptor.digest.startsWith(prefix)) found.set(image.descriptor.digest, image)
  if (found.size === 0) {
    for (const image of images) {
      for (const member of await platformsOf(store, image)) {
        if (member.digest.startsWith(prefix))
          found.set(member.digest, { descriptor: member, tags: [], origin: noOrigin })
      }
    }
  }
  const [image, ...others] = found.values()
  if (image === undefined) throw notFound(ref)
  if (others.length === 0) return { ...image, tag: undefined }
  throw new Problem('INVALID_REQUEST', `${ref} is the start of ${found.size} digests`, {
    hint: 'give more digits',
    data: { digests: [...found.keys()] },
  })
}

function isForHost({ descriptor: { platform } }: StoredImage): boolean {
  return platform === undefined || runsOn(platform, platformOf(process.arch))
}

/** Members of an index; none when it cannot be read, because looking for another image must not fail for it. */
async function platformsOf(store: BlobStore, { descriptor }: StoredImage): Promise<readonly Descriptor[]> {
  if (documentKind(descriptor.mediaType) !== 'index') return []
  try {
    const { manifests } = await readIndexDocument(store, descriptor)
    return manifests.filter((member) => documentKind(member.mediaType) !== undefined)
  } catch (error) {
    if (isProblem(error)) return []
    throw error
  }
}

function notFound(ref: string): Problem {
  return new Problem('IMAGE_NOT_FOUND', `no image ${JSON.stringify(ref.slice(0, 200))}`, {
    hint: 'see which there are: cowshed image ls; bring one: cowshed image pull REF, or cowshed image load FILE',
    data: { ref },
  })
}
