import { type Digest, isProblem } from '../../base/index.ts'
import type { BlobStore } from '../../blobs/index.ts'
import { type Descriptor, documentKind } from '../../formats/index.ts'
import { readIndexDocument, readManifestAndConfig } from '../image-graph.ts'
import { imageIncomplete } from '../image-layers.ts'
import type { ImagesContext } from '../images-context.ts'
import type { BlobLease } from '../leases.ts'

/** Everything that goes to a registry with an image. */
export interface PushPlan {
  /** Configs and layers, the largest first. */
  readonly blobs: readonly Descriptor[]
  /** Manifests and indexes, what is referred to before what refers to it; the last is the image itself. */
  readonly documents: readonly Descriptor[]
}

export interface PlanPush {
  readonly root: Descriptor
  /** What to call the image in a hint. */
  readonly name: string
  /** Gets every blob, so that none can go any more. */
  readonly lease: BlobLease
}

/**
 * What a push of a stored image sends. Every blob is looked for before anything is sent.
 *
 * @throws Problem IMAGE_INCOMPLETE when the store does not have all of it; RECORD_INVALID when a document is damaged
 */
export async function planPush(
  { blobs: store, leases }: Pick<ImagesContext, 'blobs' | 'leases'>,
  { root, name, lease }: PlanPush,
): Promise<PushPlan> {
  const blobs = new Map<Digest, Descriptor>()
  const documents = new Map<Digest, Descriptor>()
  const visit = async (descriptor: Descriptor): Promise<void> => {
    if (documents.has(descriptor.digest)) return
    const kind = documentKind(descriptor.mediaType)
    if (kind === 'index') {
      for (const member of (await readIndexDocument(store, descriptor)).manifests) await visit(member)
    } else if (kind === 'manifest') {
      const { manifest } = await readManifestAndConfig(store, descriptor)
      for (const blob of [manifest.config, ...manifest.layers]) blobs.set(blob.digest, blob)
    }
    documents.set(descriptor.digest, descriptor)
  }
  try {
    await visit(root)
  } catch (error) {
    const missing = isProblem(error, 'RECORD_INVALID') && isProblem(error.cause, 'BLOB_NOT_FOUND')
    throw missing ? imageIncomplete(name, error.data?.digest as Digest) : error
  }
  const all = [...blobs.values(), ...documents.values()]
  for (const { digest } of all) lease.add(digest)
  await leases.settled()
  await requireAll(store, all, name)
  return { blobs: [...blobs.values()].sort((a, b) => b.size - a.size), documents: [...documents.values()] }
}

async function requireAll(store: BlobStore, wanted: readonly Descriptor[], name: string): Promise<void> {
  for (const { digest, size } of wanted) if ((await store.size(digest)) !== size) throw imageIncomplete(name, digest)
}
