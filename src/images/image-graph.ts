import { type Digest, isDigest, isProblem, Problem, printable, shortDigest } from '../base/index.ts'
import type { BlobStore } from '../blobs/index.ts'
import {
  type Descriptor,
  documentKind,
  documentLimits,
  type ImageConfig,
  type ImageIndex,
  isImageConfig,
  type Manifest,
  parseImageConfig,
  parseIndex,
  parseJson,
  parseManifest,
} from '../formats/index.ts'

/** All that a descriptor of the store leads to. */
export interface ImageGraph {
  /** Every blob with its size, what is referred to before what refers to it. */
  readonly blobs: ReadonlyMap<Digest, number>
  readonly manifests: readonly GraphManifest[]
}

export interface GraphManifest {
  readonly descriptor: Descriptor
  readonly manifest: Manifest
  /** Undefined for artifacts that are no images. */
  readonly config: ImageConfig | undefined
}

/** Documents below one descriptor at most: an index of a real image has a few dozen. */
const maxDocuments = 4096

/**
 * Follows a descriptor through the store. A document that is missing, damaged or not understood is an error: what it refers to cannot be
 * known. Blobs that are not documents need not be there. Of documents of a type that is not known every digest in them counts.
 *
 * @throws Problem RECORD_INVALID naming the document that cannot be read
 */
export async function readImageGraph(store: BlobStore, root: Descriptor): Promise<ImageGraph> {
  const blobs = new Map<Digest, number>()
  const manifests: GraphManifest[] = []
  const seen = new Set<Digest>()

  const visit = async (descriptor: Descriptor): Promise<void> => {
    if (seen.has(descriptor.digest)) return
    seen.add(descriptor.digest)
    if (seen.size > maxDocuments)
      throw new Problem('LIMIT_EXCEEDED', `an image has more than ${maxDocuments} documents`)
    const kind = documentKind(descriptor.mediaType)
    if (kind === 'index') {
      for (const member of (await readIndexDocument(store, descriptor)).manifests) await visit(member)
    } else if (kind === 'manifest') {
      const read = await readManifestAndConfig(store, descriptor)
      manifests.push({ descriptor, ...read })
      for (const blob of [read.manifest.config, ...read.manifest.layers]) blobs.set(blob.digest, blob.size)
    } else {
      for (const digest of await digestsInside(store, descriptor)) blobs.set(digest, 0)
    }
    // Again at the end when it was found inside another document: a Map keeps the first place.
    blobs.delete(descriptor.digest)
    blobs.set(descriptor.digest, descriptor.size)
  }

  await visit(root)
  return { blobs, manifests }
}

export async function readIndexDocument(store: BlobStore, descriptor: Descriptor): Promise<ImageIndex> {
  return reading(descriptor, async () => {
    return parseIndex(await readDocument(store, descriptor, documentLimits.index), descriptor.mediaType)
  })
}

export async function readManifestAndConfig(
  store: BlobStore,
  descriptor: Descriptor,
): Promise<{ manifest: Manifest; config: ImageConfig | undefined }> {
  const manifest = await readManifestDocument(store, descriptor)
  return { manifest, config: await readConfigDocument(store, manifest.config) }
}

export async function readManifestDocument(store: BlobStore, descriptor: Descriptor): Promise<Manifest> {
  return reading(descriptor, async () => {
    return parseManifest(await readDocument(store, descriptor, documentLimits.manifest), descriptor.mediaType)
  })
}

/** The config of a manifest; undefined when it is that of an artifact that is no image. */
export async function readConfigDocument(store: BlobStore, descriptor: Descriptor): Promise<ImageConfig | undefined> {
  if (!isImageConfig(descriptor.mediaType)) return undefined
  return reading(descriptor, async () => parseImageConfig(await readDocument(store, descriptor, documentLimits.config)))
}

async function readDocument(store: BlobStore, { digest, size }: Descriptor, maxBytes: number): Promise<Buffer> {
  const bytes = await store.readBytes(digest, maxBytes)
  if (bytes.length === size) return bytes
  throw new Problem('SIZE_MISMATCH', `it has ${bytes.length} bytes; its descriptor says ${size}`)
}

async function reading<T>({ digest, mediaType }: Descriptor, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!isProblem(error)) throw error
    const message = `${printable(mediaType)} ${shortDigest(digest)} cannot be read: ${error.message}`
    throw new Problem('RECORD_INVALID', message, {
      hint: 'load the image again, which repairs what is damaged, or remove it: cowshed image rm',
      cause: error,
      data: { digest },
    })
  }
}

/** Every digest in a document whose type is not known: more than it needs is kept rather than less. */
async function digestsInside(store: BlobStore, { digest, size }: Descriptor): Promise<Digest[]> {
  if (size > documentLimits.manifest || !(await store.has(digest))) return []
  try {
    return stringsIn(parseJson(await store.readBytes(digest, documentLimits.manifest), 'it')).filter(isDigest)
  } catch (error) {
    // No JSON: a blob that is no document refers to nothing.
    if (isProblem(error, 'IMAGE_INVALID')) return []
    throw error
  }
}

function stringsIn(root: unknown): string[] {
  const found: string[] = []
  const queue: unknown[] = [root]
  for (const value of queue) {
    if (typeof value === 'string') found.push(value)
    // One by one: a call has no room for as many arguments as a document may have values.
    else if (typeof value === 'object' && value !== null) for (const inner of Object.values(value)) queue.push(inner)
  }
  return found
}
