import { type Digest, isProblem, shortDigest } from '../../base/index.ts'
import type { BlobStore } from '../../blobs/index.ts'
import { checkLayerCount, type Descriptor, documentKind, plainErofs } from '../../formats/index.ts'
import type { StoredImage } from '../find-image.ts'
import { imageConfigOf } from '../image-config.ts'
import { type GraphManifest, readConfigDocument, readIndexDocument, readManifestDocument } from '../image-graph.ts'

/** A blob that images need. */
export interface NeededBlob {
  readonly descriptor: Descriptor
  /** Their names. */
  readonly images: Set<string>
  /** Why a document is of no use, whatever its bytes. */
  complaint: string | undefined
}

export interface NeededManifest extends GraphManifest {
  readonly images: Set<string>
}

/** What images lead to, by digest. */
export interface Contents {
  readonly blobs: Map<Digest, NeededBlob>
  readonly manifests: Map<Digest, NeededManifest>
}

/** Documents below one image at most, as in readImageGraph. */
const maxDocuments = 4096

/**
 * Everything that images lead to, as far as it can be followed: a document that cannot be read ends the way there, with a complaint about it.
 * Whether the bytes of blobs are right is not looked at.
 */
export async function contentsOf(store: BlobStore, images: readonly StoredImage[]): Promise<Contents> {
  const contents: Contents = { blobs: new Map(), manifests: new Map() }
  for (const image of images) await new Walk(store, contents, imageName(image)).visit(image.descriptor)
  return contents
}

/** As people know an image. */
export function imageName({ tags, descriptor }: StoredImage): string {
  return tags[0] ?? shortDigest(descriptor.digest)
}

/** The way through one image. */
class Walk {
  readonly #store: BlobStore
  readonly #contents: Contents
  readonly #image: string
  readonly #seen = new Set<Digest>()

  constructor(store: BlobStore, contents: Contents, image: string) {
    this.#store = store
    this.#contents = contents
    this.#image = image
  }

  async visit(descriptor: Descriptor): Promise<void> {
    if (this.#seen.has(descriptor.digest) || this.#seen.size >= maxDocuments) return
    this.#seen.add(descriptor.digest)
    const kind = documentKind(descriptor.mediaType)
    await this.#reading(descriptor, async () => {
      if (kind === 'index') {
        for (const member of (await readIndexDocument(this.#store, descriptor)).manifests) await this.visit(member)
      }
      if (kind === 'manifest') await this.#visitManifest(descriptor)
    })
  }

  async #visitManifest(descriptor: Descriptor): Promise<void> {
    const manifest = await readManifestDocument(this.#store, descriptor)
    for (const layer of manifest.layers) this.#need(layer)
    await this.#reading(manifest.config, async () => {
      const said = await readConfigDocument(this.#store, manifest.config)
      const isPlain = plainErofs(manifest) !== undefined
      if (said !== undefined && !isPlain) checkLayerCount(manifest, said)
      const config = isPlain ? imageConfigOf(manifest, said) : said
      const { manifests } = this.#contents
      const known = manifests.get(descriptor.digest) ?? { descriptor, manifest, config, images: new Set() }
      manifests.set(descriptor.digest, known)
      known.images.add(this.#image)
    })
  }

  async #reading(descriptor: Descriptor, work: () => Promise<void>): Promise<void> {
    const blob = this.#need(descriptor)
    try {
      await work()
    } catch (error) {
      if (!isProblem(error)) throw error
      blob.complaint ??= error.message
    }
  }

  #need(descriptor: Descriptor): NeededBlob {
    const { blobs } = this.#contents
    const blob = blobs.get(descriptor.digest) ?? { descriptor, images: new Set(), complaint: undefined }
    blobs.set(descriptor.digest, blob)
    blob.images.add(this.#image)
    return blob
  }
}
