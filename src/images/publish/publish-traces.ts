import { type Digest, digestOf, Problem } from '../../base/index.ts'
import { encodeRootfsManifest, leafHashBytes, mediaTypes, type Platform, replaceRootfs } from '../../formats/index.ts'
import { formatRepository } from '../../wires/index.ts'
import { findPublishedRootfs } from '../boot-only/find-published-rootfs.ts'
import type { ImagesContext } from '../images-context.ts'
import type { LongWork } from '../long-work.ts'
import { Publication } from './publication.ts'
import { publishedName } from './published-name.ts'
import { sendTraces } from './send-traces.ts'

export interface PublishTraces extends LongWork {
  /** The tag of an image that was published: `registry.example/team/app:v1`. */
  readonly ref: string
  /** Of several; this host's unless told. */
  readonly platform?: Platform | undefined
  /** Files of boot traces, besides those that boots on this host have left. */
  readonly traces?: readonly string[] | undefined
  /** Plain http. */
  readonly insecure?: boolean | undefined
}

export interface PublishedTraces {
  /** In full, with its tag. */
  readonly destination: string
  /** Of the index that the tag points at now. */
  readonly digest: Digest
  readonly rootfsDigest: Digest
  /** The names of all that it has. */
  readonly traces: readonly string[]
  readonly outcome: 'published' | 'unchanged'
}

/**
 * Publishes what boots have read of an image that somebody has published: for a host that has read it in part, and has no layers. The image and what hosts boot from stay as they are, and so does whatever
 * else the tag has. The tag is written last.
 *
 * @throws Problem FILE_NOT_FOUND when nothing was recorded; what findPublishedRootfs, collectTraces and the registry's client throw
 */
export async function publishTraces(context: ImagesContext, request: PublishTraces): Promise<PublishedTraces> {
  const { ref, platform = context.platform, insecure = false, traces: files = [], onProgress, signal } = request
  const { layout, registries } = context
  const { tag } = publishedName(ref, 'image publish-traces REGISTRY/NAME:TAG')
  const found = await findPublishedRootfs({ registries, ref, platform, insecure, signal })
  const { rootfs, repository, publishedAs } = found
  const { descriptor, manifest, index } = rootfs
  const publication = new Publication({ repository, mountFrom: [], onProgress, signal })
  const lower = { chunkIndex: manifest.chunkIndex.digest, leaves: index.leaves.length / leafHashBytes }
  const { traces, own } = await sendTraces(publication, { layout, lower, tag, files })
  if (own.length === 0) throw nothingRecorded(ref)
  const bytes = encodeRootfsManifest({ ...manifest, traces })
  const done = { destination: `${formatRepository(repository.name)}:${tag}`, traces: traces.map(({ name }) => name) }
  if (digestOf(bytes) === descriptor.digest)
    return { ...done, digest: publishedAs, rootfsDigest: descriptor.digest, outcome: 'unchanged' }
  const [root] = found.remote.documents
  if (root === undefined) throw new Problem('INTERNAL', 'an image without documents')
  const written = await publication.sendDocument(mediaTypes.ociManifest, bytes)
  const published = replaceRootfs(root.bytes, descriptor.digest, { descriptor: written, bytes })
  const { mediaType } = root.descriptor
  await repository.writeManifest({ reference: tag, mediaType, bytes: published, signal })
  return { ...done, digest: digestOf(published), rootfsDigest: written.digest, outcome: 'published' }
}

function nothingRecorded(ref: string): Problem {
  return new Problem('FILE_NOT_FOUND', `no boot of ${ref} was recorded on this host`, {
    hint: `boot it here first: cowshed create NAME --image ${ref} --pull lazy; or say which file: cowshed image publish-traces ${ref} --trace FILE`,
  })
}
