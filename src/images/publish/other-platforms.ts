import { isProblem } from '../../base/index.ts'
import {
  type Descriptor,
  documentKind,
  documentLimits,
  type ImageIndex,
  isAttestation,
  isSamePlatform,
  type OtherPlatform,
  type Platform,
  parseIndex,
  parseJsonObject,
  parseManifest,
  rootfsMembers,
} from '../../formats/index.ts'
import type { RemoteManifest, Repository } from '../../wires/index.ts'

export interface FindOtherPlatforms {
  readonly repository: Pick<Repository, 'readManifest'>
  readonly tag: string
  /** What is being published, and takes the place of what is there. */
  readonly platform: Platform
  readonly signal?: AbortSignal | undefined
}

/**
 * What a tag's index has for other platforms: each image, with its rootfs and whatever BuildKit says of it. What is not known to belong to one of them
 * is not kept.
 *
 * @throws Problem as the registry's client does, but for a tag that is not there
 */
export async function otherPlatforms(request: FindOtherPlatforms): Promise<OtherPlatform[]> {
  const there = await readTag(request)
  if (there === undefined || documentKind(there.descriptor.mediaType) !== 'index') return []
  const index = parseIndex(there.bytes, there.descriptor.mediaType)
  const owners = await ownersOf(index, request)
  const members = rawMembers(there.bytes)
  return index.manifests.flatMap((image) => {
    const { platform } = image
    if (platform === undefined || isAttestation(image) || isSamePlatform(platform, request.platform)) return []
    const own = index.manifests.filter(({ digest }) => digest === image.digest || owners.get(digest) === image.digest)
    return [{ platform, members: own.map(({ digest }) => members.get(digest)) }]
  })
}

async function readTag({ repository, tag, signal }: FindOtherPlatforms): Promise<RemoteManifest | undefined> {
  try {
    return await repository.readManifest(tag, { signal })
  } catch (error) {
    if (isProblem(error, 'REGISTRY_NOT_FOUND')) return undefined
    throw error
  }
}

/** By their digests, the images that members are about. */
async function ownersOf(
  index: ImageIndex,
  { repository, signal }: FindOtherPlatforms,
): Promise<Map<string, string | undefined>> {
  const owners = new Map(
    index.manifests.filter(isAttestation).map((member) => [member.digest as string, ownerOf(member)]),
  )
  for (const { digest, mediaType } of rootfsMembers(index)) {
    const { bytes } = await repository.readManifest(digest, { signal })
    owners.set(digest, parseManifest(bytes, mediaType).subject?.digest)
  }
  return owners
}

function ownerOf({ annotations }: Descriptor): string | undefined {
  return annotations?.['vnd.docker.reference.digest']
}

/** With all that they say, known here or not. */
function rawMembers(bytes: Buffer): Map<unknown, unknown> {
  const { manifests } = parseJsonObject(bytes, { noun: 'the index', maxBytes: documentLimits.index })
  const members: { digest?: unknown }[] = Array.isArray(manifests) ? manifests : []
  return new Map(members.map((member) => [member.digest, member]))
}
