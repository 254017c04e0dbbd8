import { type Digest, type LowerProfile, lowerProfiles, Problem } from '../../base/index.ts'
import type { Platform } from '../../formats/index.ts'
import type { Registries, Repository } from '../../wires/index.ts'
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
  const root = await repository.resolve(name.reference, { signal })
  const remote = await readRemoteImage({ repository, root, platform, signal })
  const { documents } = remote
  const rootfs = await readPublishedRootfs({ repository, documents, profiles, signal })
  if (rootfs !== undefined) return { name, repository, remote, rootfs, publishedAs: root.digest }
  throw new Problem('IMAGE_UNSUPPORTED', `${ref} was not published with a rootfs: only the whole of it can be had`, {
    hint: `publish it: cowshed image publish IMAGE ${ref}; or bring all of it: cowshed image pull ${ref}`,
  })
}
