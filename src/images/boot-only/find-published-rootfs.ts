import { type Digest, type LowerProfile, lowerProfiles, Problem } from '../../base/index.ts'
import { documentKind, type Platform, parseIndex, rootfsMembers } from '../../formats/index.ts'
import type { ReadBlob, Registries, RemoteManifest, Repository, RequestOptions } from '../../wires/index.ts'
import type { LongWork } from '../long-work.ts'
import { type RemoteImage, readRemoteImage } from '../pull/read-remote-image.ts'
import { type RemoteName, remoteName } from '../remote-name.ts'
import { type PublishedRootfs, readPublishedRootfs } from './read-published-rootfs.ts'

export interface FindPublishedRootfs extends Pick<LongWork, 'signal'> {
  readonly registries: Registries
  /** A tag or a digest: `registry.example/team/app:1`. */
  readonly ref: string
  readonly platform: Platform
  /** Plain http. */
  readonly insecure: boolean
  /** That it may have, the preferred one first; any unless told. */
  readonly profiles?: readonly LowerProfile[] | undefined
}

export interface FoundRootfs {
  readonly name: RemoteName
  readonly remote: RemoteImage
  readonly repository: Repository
  readonly rootfs: PublishedRootfs
  /** What the reference stands for. */
  readonly publishedAs: Digest
}

/**
 * Looks in a registry for the form of an image that can be read in part. Nothing but its documents is fetched.
 *
 * @throws Problem IMAGE_UNSUPPORTED when the image was not published with one; PLATFORM_NOT_FOUND, INVALID_REQUEST; what reading it and the registry's client throw
 */
export async function findPublishedRootfs(request: FindPublishedRootfs): Promise<FoundRootfs> {
  const { registries, ref, platform, insecure, profiles = lowerProfiles, signal } = request
  const name = remoteName(ref)
  const repository = registries.repository(name.repository, { plainHttp: insecure || undefined })
  const root = await repository.readManifest(name.reference, { signal })
  const ahead = readAhead(repository, root, signal)
  const remote = await readRemoteImage({ repository: ahead, root: root.descriptor, platform, signal })
  const { documents } = remote
  const rootfs = await readPublishedRootfs({ repository: ahead, documents, profiles, signal })
  if (rootfs !== undefined) return { name, repository, remote, rootfs, publishedAs: root.descriptor.digest }
  throw new Problem('IMAGE_UNSUPPORTED', `${ref} was not published with a rootfs: only the whole of it can be had`, {
    hint: `publish it: cowshed image publish IMAGE ${ref}; or bring all of it: cowshed image pull ${ref}`,
  })
}

/** Of an index: it has one or two for each platform. */
const maxAhead = 16

/** Asks for the rootfs manifests of an index at the same time as for that of the image: a round trip of a far registry is a good part of all that it takes to begin. */
function readAhead(repository: Repository, root: RemoteManifest, signal: AbortSignal | undefined) {
  const { descriptor, bytes } = root
  const known = new Map<string, Promise<RemoteManifest>>([[descriptor.digest, Promise.resolve(root)]])
  const isIndex = documentKind(descriptor.mediaType) === 'index'
  const members = isIndex ? rootfsMembers(parseIndex(bytes, descriptor.mediaType)) : []
  for (const { digest } of members.slice(0, maxAhead)) {
    const coming = repository.readManifest(digest, { signal })
    // Whoever needs it hears of it.
    coming.catch(() => {})
    known.set(digest, coming)
  }
  return {
    readManifest: (reference: string, options?: RequestOptions) =>
      known.get(reference) ?? repository.readManifest(reference, options),
    readBlob: (request: ReadBlob) => repository.readBlob(request),
  }
}
