import { rm } from 'node:fs/promises'
import { type Digest, digestOf, isProblem } from '../../base/index.ts'
import { type Platform, rootfsTypes } from '../../formats/index.ts'
import type { Repository } from '../../wires/index.ts'
import { type Made, orUndo } from '../commit-images.ts'
import type { ImagesContext } from '../images-context.ts'
import { keptFiles } from '../kept/kept-files.ts'
import type { BlobLease } from '../leases.ts'
import type { LongWork } from '../long-work.ts'
import { dropDownload } from '../pull/drop-download.ts'
import type { RemoteImage } from '../pull/read-remote-image.ts'
import type { RemoteName } from '../remote-name.ts'
import { bringDocuments } from './bring-documents.ts'
import { keepPublishedLower } from './keep-published-lower.ts'
import type { PublishedRootfs } from './read-published-rootfs.ts'
import { settleLazyLower } from './settle-lazy-lower.ts'

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
  await dropCache(context, rootfs)
  return remote.documents.at(-1)?.descriptor.digest ?? rootfs.manifest.subject.digest
}

/** What was here of it in part. A daemon that begins tries it again. */
async function dropCache(context: ImagesContext, { indexBytes }: PublishedRootfs): Promise<void> {
  try {
    await settleLazyLower(context, digestOf(indexBytes), {})
  } catch (error) {
    if (!isProblem(error)) throw error
  }
}

interface Bring extends BringRootfs {
  readonly lease: BlobLease
  readonly made: Set<Made>
}

async function bring(context: ImagesContext, request: Bring): Promise<void> {
  const { ref, rootfs, repository, made, onProgress, signal } = request
  await bringDocuments(context, {
    ...request,
    bringLower: async (root, image) => {
      await keepPublishedLower(context, {
        rootfs,
        reference: ref,
        publishedAs: root.digest,
        fetch: async ({ digest, size }) => {
          const descriptor = { digest, size, mediaType: rootfsTypes.data }
          return (await context.downloads.fetch({ descriptor, repository, onProgress, signal }).blob).path
        },
        onInstall: () => made.add(keptLower(context, image.digest)),
        onProgress,
        signal,
      })
    },
  })
}

function keptLower({ layout }: ImagesContext, manifest: Digest): Made {
  return {
    digest: manifest,
    remove: async () => {
      for (const { path } of keptFiles(layout, manifest)) await rm(path, { force: true })
    },
  }
}
