import { readFile, rm, writeFile } from 'node:fs/promises'
import type { BuiltRoot } from '../../../test/support/image-builder.ts'
import type { StartRegistry } from '../../../test/support/registry.ts'
import type { Digest } from '../../base/index.ts'
import {
  type ClientOptions,
  openRegistryClient,
  pushImage,
  uploadBytes,
} from '../../wires/registry/registry.testkit.ts'
import { makeImages } from '../images.testkit.ts'
import type { ImagesOptions } from '../open-images.ts'

/** A real registry, a proxy before it in which things go wrong, and a data directory whose images come through the proxy. */
export async function openPulls(
  options: StartRegistry & ClientOptions = {},
  imagesOptions: Partial<ImagesOptions> = {},
) {
  const client = await openRegistryClient(options, options)
  const store = await makeImages({ registries: client.registries, ...imagesOptions })
  const inRegistry = (path: string) => client.registries.repository({ registry: client.registry.host, path })
  return {
    ...client,
    ...store,
    /** `app:1` as the name of it in the registry, through the proxy. */
    ref: (name: string) => `${client.proxy.host}/${name}`,
    /** Puts an image into the registry, past the proxy. */
    async publish(image: BuiltRoot, name = 'app:1') {
      const [path = '', tag = 'latest'] = name.split(':')
      await pushImage(inRegistry(path), image, tag)
    },
    /** The manifest of a platform, by its digest: what an index refers to. */
    publishMember: (image: BuiltRoot, path = 'app') => pushImage(inRegistry(path), image, image.root.digest),
    /** A document alone: what it refers to is there. */
    async publishDocument({ root, blobs }: BuiltRoot, name: string) {
      const [path = '', reference = 'latest'] = name.split(':')
      const bytes = blobs.get(root.digest) ?? Buffer.alloc(0)
      await inRegistry(path).writeManifest({ reference, mediaType: root.mediaType, bytes })
    },
    /** Other bytes, as many as before, in a blob of the store. */
    async damage(digest: Digest) {
      const path = store.layout.blob(digest)
      const { length } = await readFile(path)
      await rm(path)
      await writeFile(path, Buffer.alloc(length, 'x'))
    },
    uploadBytes: (content: Buffer, path = 'app') => uploadBytes(inRegistry(path), content),
    /** How often a blob was asked for, and from where on each time. */
    blobReads(digest: string): number[] {
      const reads = client.proxy.requests.filter(({ method, path }) => method === 'GET' && path.includes(digest))
      return reads.map(({ headers }) => Number(/^bytes=(\d+)-/.exec(headers.range ?? 'bytes=0-')?.[1]))
    },
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]()
      await store[Symbol.asyncDispose]()
    },
  }
}

export type Pulls = Awaited<ReturnType<typeof openPulls>>
