import { type Digest, type LowerProfile, lowerProfiles, Problem } from '../../base/index.ts'
import { documentKind, inlineManifest, type Platform, parseIndex, rootfsMembers } from '../../formats/index.ts'
import type { StoredIndex } from '../../lazy/index.ts'
import type { ReadBlob, Registries, RemoteManifest, Repository, RequestOptions } from '../../wires/index.ts'
import type { LongWork } from '../long-work.ts'
import { findRemoteManifest, type RemoteImage, readImageAt } from '../pull/read-remote-image.ts'
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
  /** Hears which rootfs it will be before its chunk index is asked for, so that more can be asked for at the same time. @returns that index, when it is on this host */
  readonly onManifest?: ((found: FoundManifest) => Promise<StoredIndex | undefined>) | undefined
}

export interface FoundManifest {
  readonly repository: Repository
  readonly manifest: PublishedRootfs['manifest']
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
  const { registries, ref, platform, insecure, profiles = lowerProfiles, onManifest, signal } = request
  const name = remoteName(ref)
  const repository = registries.repository(name.repository, { plainHttp: insecure || undefined })
  const root = await repository.readManifest(name.reference, { signal })
  const ahead = readAhead(repository, root, signal)
  const wanted = { repository: ahead, root: root.descriptor, platform, signal }
  const place = await findRemoteManifest(wanted)
  const [remote, rootfs] = await together(
    readImageAt(wanted, place),
    readPublishedRootfs({
      ...{ repository: ahead, indexes: place.indexes, image: place.descriptor.digest, profiles, signal },
      onManifest: onManifest && ((manifest) => onManifest({ repository, manifest })),
    }),
  )
  if (rootfs !== undefined) return { name, repository, remote, rootfs, publishedAs: root.descriptor.digest }
  throw new Problem('IMAGE_UNSUPPORTED', `${ref} was not published with a rootfs: only the whole of it can be had`, {
    hint: `publish it: cowshed image publish IMAGE ${ref}; or bring all of it: cowshed image pull ${ref}`,
  })
}

/** What one of them says of both counts, whichever fails first. */
async function together<A, B>(first: Promise<A>, second: Promise<B>): Promise<[A, B]> {
  second.catch(() => {})
  return [await first, await second]
}

/** Of an index: it has one or two for each platform. */
const maxAhead = 16

/** Asks for the rootfs manifests that an index has not got itself at the same time as for that of the image: a round trip of a far registry is a good part of all that it takes to begin. */
function readAhead(repository: Repository, root: RemoteManifest, signal: AbortSignal | undefined) {
  const { descriptor, bytes } = root
  const known = new Map<string, Promise<RemoteManifest>>([[descriptor.digest, Promise.resolve(root)]])
  const isIndex = documentKind(descriptor.mediaType) === 'index'
  const members = isIndex ? rootfsMembers(parseIndex(bytes, descriptor.mediaType)) : []
  const absent = members.filter((member) => inlineManifest(member) === undefined)
  for (const { digest } of absent.slice(0, maxAhead)) {
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
