import { type Digest, type LowerProfile, Problem } from '../../base/index.ts'
import { blockSize, type Descriptor, plainErofs } from '../../formats/index.ts'
import type { Repository } from '../../wires/index.ts'
import { checkLowerHead } from '../lowers/check-lower.ts'
import { type RemoteImage, readRemoteManifest } from '../pull/read-remote-image.ts'
import type { RemoteName } from '../remote-name.ts'
import { remoteName } from '../remote-name.ts'
import type { FindPublishedRootfs } from './find-published-rootfs.ts'

/** A lower that somebody has pushed as one erofs image, with nothing that says what its parts must be. */
export interface PlainLower {
  readonly name: RemoteName
  readonly repository: Repository
  readonly remote: RemoteImage
  /** What the reference stands for. */
  readonly publishedAs: Digest
  readonly manifest: Digest
  readonly blob: Descriptor
}

/** Looks in a registry for the one erofs image that is all of an image. @returns undefined when there is none @throws Problem as reading it and the registry's client do */
export async function findPlainLower(request: Omit<FindPublishedRootfs, 'profiles'>): Promise<PlainLower | undefined> {
  const { registries, ref, platform, insecure, signal } = request
  const name = remoteName(ref)
  const repository = registries.repository(name.repository, { plainHttp: insecure || undefined })
  const root = await repository.resolve(name.reference, { signal })
  const remote = await readRemoteManifest({ repository, root, platform, signal })
  const { manifest, documents } = remote
  const blob = plainErofs(manifest)
  if (blob === undefined || blob.size === 0) return undefined
  const image = documents.at(-1)?.descriptor.digest ?? root.digest
  return { name, repository, remote, blob, publishedAs: root.digest, manifest: image }
}

/**
 * Looks at the first block of a lower that is one blob, before a guest is booted from it. It is not verified, and need not be: the whole is in the end.
 *
 * @returns its profile
 * @throws Problem IMAGE_UNSUPPORTED when it is none that sheds can read; what the registry's client throws
 */
export async function profileOfPlain(
  { repository, blob }: PlainLower,
  {
    ref,
    profiles,
    signal,
  }: Pick<FindPublishedRootfs, 'ref' | 'signal'> & { readonly profiles: readonly LowerProfile[] },
): Promise<LowerProfile> {
  const { digest, size } = blob
  const pieces: Buffer[] = []
  const head = { digest, size, from: 0, until: Math.min(blockSize, size), signal }
  for await (const piece of repository.readBlob(head)) pieces.push(piece)
  const block = Buffer.alloc(blockSize)
  Buffer.concat(pieces).copy(block)
  const found = checkLowerHead({ head: block, size })
  if (found.complaint !== undefined) throw notForSheds(ref, found.complaint)
  const { form, profile } = found.kind
  if (form !== 'whole') throw notForSheds(ref, 'its data is on other devices')
  if (!profiles.includes(profile)) throw notForSheds(ref, `guests of this host cannot read its profile, ${profile}`)
  return profile
}

function notForSheds(ref: string, why: string): Problem {
  return new Problem('IMAGE_UNSUPPORTED', `${ref} is one erofs image that no shed can be made of: ${why}`, {
    hint: 'make it with mkfs.erofs, blocks of 4 KiB and no compression or -zlz4; or publish an image: cowshed image publish',
  })
}
