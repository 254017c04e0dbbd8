import { type Digest, isProblem, Problem } from '../../base/index.ts'
import type { StagedBlob } from '../../blobs/index.ts'
import type { ImageSummary } from '../../contract/index.ts'
import type { Descriptor, Platform } from '../../formats/index.ts'
import { openStaging } from '../../host/index.ts'
import type { Repository } from '../../wires/index.ts'
import { bringRootfs } from '../boot-only/bring-rootfs.ts'
import { type PublishedRootfs, readPublishedRootfs } from '../boot-only/read-published-rootfs.ts'
import { commitImages, orUndo } from '../commit-images.ts'
import { listImages } from '../describe-image.ts'
import type { ImagesContext } from '../images-context.ts'
import { type ChosenImage, chooseImage } from '../load/choose-image.ts'
import { gatherImage } from '../load/gather-image.ts'
import { type IsPresent, presenceChecker } from '../load/presence.ts'
import type { LongWork } from '../long-work.ts'
import type { Origin } from '../origin.ts'
import { type RemoteName, remoteName } from '../remote-name.ts'
import { withTags } from '../tag-image.ts'
import { dropDownload } from './drop-download.ts'
import { fetchBlobs } from './fetch-blobs.ts'
import { type FindPulled, findPulled } from './find-pulled.ts'
import { type RemoteImage, readRemoteImage } from './read-remote-image.ts'
import { stageDocuments } from './stage-documents.ts'

export interface PullRequest extends LongWork {
  /** A tag, a digest, or both: then the digest decides what it is, and the tag what it is called. */
  readonly ref: string
  /** The host's unless told. */
  readonly platform?: Platform | undefined
  /** Plain http. */
  readonly insecure?: boolean | undefined
  /** Also layers that nothing but a push needs: those of an image that was published with its rootfs, and those that were dropped. */
  readonly withLayers?: boolean | undefined
}

export interface PulledImage {
  readonly image: ImageSummary
  /** `unchanged`: the store had all of it already, and nothing was fetched. */
  readonly outcome: 'pulled' | 'unchanged'
}

/**
 * Brings an image from its registry into the store: of one that was published with its rootfs, only what a host boots from, unless it is to have
 * its layers; of any other, all of it. What the store has is not fetched; everything else is verified, and its layers unpacked,
 * before anything is visible. Of an index, the platform's image is kept alone, unless the store has the rest too.
 *
 * On failure the store is as it was, but for what was downloaded: that is where the next pull goes on, unless it is the disk that is full.
 * @see docs/decisions/0010-what-image-load-keeps.md, docs/decisions/0025-what-a-pull-leaves-behind.md
 * @throws Problem as loadImages does, and what the registry's client throws
 */
export async function pullImage(context: ImagesContext, request: PullRequest): Promise<PulledImage> {
  const name = remoteName(request.ref)
  const platform = request.platform ?? context.platform
  const repository = context.registries.repository(name.repository, { plainHttp: request.insecure || undefined })
  const root = await repository.resolve(name.reference, { signal: request.signal })
  const origin = { indexes: [], repositories: [name.repository] }
  const wanted = { digest: root.digest, platform, withLayers: request.withLayers === true }
  const known = await nameKnown(context, { wanted, name, origin })
  if (known !== undefined) return { image: await summaryOf(context, known), outcome: 'unchanged' }
  const remote = await readRemoteImage({ repository, root, platform, signal: request.signal })
  const rootfs = await rootfsToBring(context, { ...request, repository, remote })
  try {
    const all = { ...request, name, platform, repository, remote }
    const digest =
      rootfs === undefined ? await bring(context, { ...all, origin }) : await bringRootfs(context, { ...all, rootfs })
    return { image: await summaryOf(context, digest), outcome: 'pulled' }
  } catch (error) {
    if (!isProblem(error, 'NO_SPACE')) throw error
    // What was downloaded to no avail must not keep the disk full: sheds write to it too.
    const { config, layers } = remote.manifest
    const parts = rootfs === undefined ? layers : [rootfs.manifest.bootstrap, ...rootfs.manifest.data]
    for (const { digest } of [config, ...parts]) dropDownload(context, digest)
    throw error
  }
}

interface RootfsToBring extends PullRequest {
  readonly repository: Repository
  readonly remote: RemoteImage
}

/** The rootfs that was published with an image, when it comes instead of the layers: not when they are here, because they need nobody's word. */
async function rootfsToBring(
  { blobs, lowerKinds }: ImagesContext,
  { withLayers, repository, remote: { documents, manifest }, signal }: RootfsToBring,
): Promise<PublishedRootfs | undefined> {
  if (withLayers === true) return undefined
  const sizes = await Promise.all(manifest.layers.map(({ digest }) => blobs.size(digest)))
  if (manifest.layers.every(({ size }, at) => sizes[at] === size)) return undefined
  const profiles = (await lowerKinds()).filter(({ form }) => form === 'whole').map(({ profile }) => profile)
  const [indexes, image] = [documents.slice(0, -1), documents.at(-1)?.descriptor.digest]
  return image && (await readPublishedRootfs({ repository, indexes, image, profiles, signal }))
}

interface Bring extends PullRequest {
  readonly name: RemoteName
  readonly platform: Platform
  readonly repository: Repository
  readonly remote: RemoteImage
  readonly origin: Origin
}

/** @returns the digest of what was entered in index.json */
async function bring(context: ImagesContext, request: Bring): Promise<Digest> {
  const { name, remote } = request
  using lease = context.leases.openBlobLease()
  const isPresent = presenceChecker(context, lease)
  const digest = await orUndo(context, lease, async (made) => {
    await using staging = await openStaging(context.layout, 'pull')
    const documents = await stageDocuments(remote.documents, { staging: staging.path, isPresent })
    const { manifest } = remote
    const fetched = await fetchBlobs(context, { ...request, manifest, isPresent, lease, made })
    const image = await choose(context, { ...request, isPresent, staged: new Map([...documents, ...fetched]) })
    const chosen = [{ image, tags: tagsOf(name), origin: originOf(request, image) }]
    await commitImages(context, { ...request, chosen, lease, made })
    return image.root.descriptor.digest
  })
  // A removal that was planned before the image was visible looks at our lease until it ends.
  await context.leases.settled()
  return digest
}

interface Choose extends Bring {
  readonly isPresent: IsPresent
  readonly staged: ReadonlyMap<Digest, StagedBlob>
}

/** The same rules as for an archive, whose blobs are those that came. */
async function choose(
  { layout, blobs }: ImagesContext,
  { remote, platform, staged, isPresent }: Choose,
): Promise<ChosenImage> {
  const [root] = remote.documents
  if (root === undefined) throw new Problem('INTERNAL', 'an image without a document')
  const source = {
    roots: [],
    take: async ({ digest, size }: Descriptor) => {
      const blob = staged.get(digest)
      return blob?.size === size ? blob : undefined
    },
  }
  const gathered = await gatherImage(root.descriptor, { source, blobs, isPresent })
  return await chooseImage(gathered, { layout, platform })
}

function originOf({ remote, origin }: Bring, { root }: ChosenImage): Origin {
  const above = remote.documents.map(({ descriptor }) => descriptor.digest)
  const at = above.indexOf(root.descriptor.digest)
  return { ...origin, indexes: above.slice(0, Math.max(0, at)) }
}

function tagsOf({ tag }: RemoteName): string[] {
  return tag === undefined ? [] : [tag]
}

interface NameKnown {
  readonly wanted: FindPulled
  readonly name: RemoteName
  readonly origin: Origin
}

/** When the store has it: one more name for it, and one more place where it can be had. In line with the removals, as every tag is. */
async function nameKnown(context: ImagesContext, { wanted, name, origin }: NameKnown): Promise<Digest | undefined> {
  return await context.leases.removal(async () => {
    const known = await findPulled(context, wanted)
    if (known === undefined) return undefined
    await context.blobs.updateIndex((index) => {
      const entries = withTags(index.entries, known, tagsOf(name), origin)
      return sameEntries(index.entries, entries) ? index : { ...index, entries }
    })
    return known.digest
  })
}

function sameEntries(before: readonly { raw: unknown }[], after: readonly { raw: unknown }[]): boolean {
  const text = (entries: readonly { raw: unknown }[]) => entries.map(({ raw }) => JSON.stringify(raw)).sort()
  return JSON.stringify(text(before)) === JSON.stringify(text(after))
}

async function summaryOf(context: ImagesContext, digest: Digest): Promise<ImageSummary> {
  const summary = (await listImages(context)).find((image) => image.digest === digest)
  if (summary !== undefined) return summary
  throw new Problem('IMAGE_NOT_FOUND', 'the image was removed just after it was pulled')
}
