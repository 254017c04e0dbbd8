import { rm } from 'node:fs/promises'
import { type Digest, Problem } from '../../base/index.ts'
import { type ImageConfig, type Platform, platformNotFound, rootfsTypes, runsOn } from '../../formats/index.ts'
import { openStaging } from '../../host/index.ts'
import type { Repository } from '../../wires/index.ts'
import { type Made, orUndo } from '../commit-images.ts'
import type { ImagesContext } from '../images-context.ts'
import { keptFiles } from '../kept/kept-files.ts'
import type { BlobLease } from '../leases.ts'
import { presenceChecker } from '../load/presence.ts'
import type { LongWork } from '../long-work.ts'
import { dropDownload } from '../pull/drop-download.ts'
import { fetchConfig } from '../pull/fetch-blobs.ts'
import type { RemoteImage } from '../pull/read-remote-image.ts'
import { stageDocuments } from '../pull/stage-documents.ts'
import type { RemoteName } from '../remote-name.ts'
import { withTags } from '../tag-image.ts'
import { keepPublishedLower } from './keep-published-lower.ts'
import type { PublishedRootfs } from './read-published-rootfs.ts'

export interface BringRootfs extends LongWork {
  readonly ref: string
  readonly name: RemoteName
  readonly platform: Platform
  readonly repository: Repository
  readonly remote: RemoteImage
  readonly rootfs: PublishedRootfs
}

/**
 * Brings what a published image boots from, and not its layers: manifest, config and lower. Everything is verified before anything is visible.
 *
 * @returns the digest of the image's manifest, which is what its tag points at
 * @throws Problem as keepPublishedLower does; PLATFORM_NOT_FOUND
 */
export async function bringRootfs(context: ImagesContext, request: BringRootfs): Promise<Digest> {
  const { remote, rootfs } = request
  using lease = context.leases.openBlobLease()
  const parts = [rootfs.manifest.bootstrap, ...rootfs.manifest.data]
  for (const { digest } of [...parts, rootfs.manifest.subject]) lease.add(digest)
  await context.leases.settled()
  await orUndo(context, lease, (made) => bring(context, { ...request, lease, made }))
  // A removal that was planned before the image was visible looks at our lease until it ends.
  await context.leases.settled()
  lease[Symbol.dispose]()
  for (const { digest } of parts) dropDownload(context, digest)
  return remote.documents.at(-1)?.descriptor.digest ?? rootfs.manifest.subject.digest
}

interface Bring extends BringRootfs {
  readonly lease: BlobLease
  readonly made: Set<Made>
}

/** What is referred to before what refers to it; the tag last. */
async function bring(context: ImagesContext, request: Bring): Promise<void> {
  const { ref, name, remote, rootfs, repository, lease, made, onProgress, signal } = request
  const [root, image] = [remote.documents[0], remote.documents.at(-1)]
  if (root === undefined || image === undefined) throw new Problem('INTERNAL', 'an image without a document')
  await using staging = await openStaging(context.layout, 'pull')
  const isPresent = presenceChecker(context, lease)
  const staged = await stageDocuments([image], { staging: staging.path, isPresent })
  const { manifest } = remote
  requireRuns(await fetchConfig(context, { manifest, repository, isPresent, fetched: staged, signal }), request)
  await keepPublishedLower(context, {
    rootfs,
    reference: ref,
    publishedAs: root.descriptor.digest,
    fetch: async ({ digest, size }) => {
      const descriptor = { digest, size, mediaType: rootfsTypes.data }
      return (await context.downloads.fetch({ descriptor, repository, onProgress, signal }).blob).path
    },
    onInstall: () => made.add(keptLower(context, image.descriptor.digest)),
    onProgress,
    signal,
  })
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

function requireRuns(config: ImageConfig, { platform }: BringRootfs): void {
  if (!runsOn(config, platform)) throw platformNotFound(platform, [config])
}

function keptLower({ layout }: ImagesContext, manifest: Digest): Made {
  return {
    digest: manifest,
    remove: async () => {
      for (const { path } of keptFiles(layout, manifest)) await rm(path, { force: true })
    },
  }
}
