import { Problem } from '../../base/index.ts'
import { type Descriptor, type ImageConfig, type Platform, platformNotFound, runsOn } from '../../formats/index.ts'
import { openStaging } from '../../host/index.ts'
import type { Repository } from '../../wires/index.ts'
import type { Made } from '../commit-images.ts'
import type { ImagesContext } from '../images-context.ts'
import type { BlobLease } from '../leases.ts'
import { presenceChecker } from '../load/presence.ts'
import type { LongWork } from '../long-work.ts'
import { fetchConfig } from '../pull/fetch-blobs.ts'
import type { RemoteImage } from '../pull/read-remote-image.ts'
import { stageDocuments } from '../pull/stage-documents.ts'
import type { RemoteName } from '../remote-name.ts'
import { withTags } from '../tag-image.ts'

export interface BringDocuments extends LongWork {
  readonly name: RemoteName
  readonly platform: Platform
  readonly repository: Repository
  readonly remote: RemoteImage
  readonly lease: BlobLease
  /** Gets what becomes visible on the way. */
  readonly made: Set<Made>
  /** Makes what the image boots from, before its documents are visible. */
  readonly bringLower: (root: Descriptor, image: Descriptor) => Promise<void>
}

/**
 * Brings the manifest and the config of an image, and none of its layers. What is referred to comes before what refers to it; the tag last.
 *
 * @throws Problem PLATFORM_NOT_FOUND, what the registry's client and bringLower throw
 */
export async function bringDocuments(context: ImagesContext, request: BringDocuments): Promise<void> {
  const { name, remote, repository, lease, made, signal } = request
  const [root, image] = [remote.documents[0], remote.documents.at(-1)]
  if (root === undefined || image === undefined) throw new Problem('INTERNAL', 'an image without a document')
  await using staging = await openStaging(context.layout, 'pull')
  const isPresent = presenceChecker(context, lease)
  const staged = await stageDocuments([image], { staging: staging.path, isPresent })
  const { manifest } = remote
  requireRuns(await fetchConfig(context, { manifest, repository, isPresent, fetched: staged, signal }), request)
  await request.bringLower(root.descriptor, image.descriptor)
  for (const digest of [manifest.config.digest, image.descriptor.digest]) {
    const blob = staged.get(digest)
    if (blob === undefined) continue
    made.add({ digest, remove: () => context.blobs.remove(digest) })
    await context.blobs.install([blob])
  }
  const origin = {
    indexes: remote.documents.slice(0, -1).map(({ descriptor }) => descriptor.digest),
    repositories: [name.repository],
  }
  const tags = name.tag === undefined ? [] : [name.tag]
  await context.blobs.updateIndex((index) => ({
    ...index,
    entries: withTags(index.entries, image.descriptor, tags, origin),
  }))
}

function requireRuns(config: ImageConfig, { platform }: BringDocuments): void {
  if (!runsOn(config, platform)) throw platformNotFound(platform, [config])
}
