import { type Digest, isProblem, type LowerProfile, Problem, shortDigest } from '../../base/index.ts'
import { type KnownLower, listLazyLowers, readLazyIndex } from '../../lazy/index.ts'
import { formatRepository } from '../../wires/index.ts'
import { orUndo } from '../commit-images.ts'
import { findImage } from '../find-image.ts'
import { imageLayers, lostLayers } from '../image-layers.ts'
import type { ImagesContext } from '../images-context.ts'
import { findKeptLower } from '../kept/find-kept-lower.ts'
import type { LongWork } from '../long-work.ts'
import { findLower } from '../lowers/ensure-lower.ts'
import { plainWhole } from '../lowers/lower-kind.ts'
import { isLocalOnly } from '../pull/local-only.ts'
import { type ResolvedImage, resolveImage } from '../resolve-image.ts'
import { bringDocuments } from './bring-documents.ts'
import { findKeptAs } from './find-kept-as.ts'
import { findPlainLower, profileOfPlain } from './find-plain-lower.ts'
import { type FindPublishedRootfs, type FoundRootfs, findPublishedRootfs } from './find-published-rootfs.ts'
import { readKeptRecord } from './kept-record.ts'
import { type NotedSource, noteFound, noteFoundPlain } from './lazy-source.ts'

/** A lower that is read before it is here: which one, and where the rest of it is. */
export interface LazyRootfs {
  /** The index that it was published with, by its digest. */
  readonly reference: string
  readonly chunkIndex: Digest
  readonly profile: LowerProfile
  /** The boot trace to fetch ahead by, when it is not that of any boot. */
  readonly trace?: string | undefined
  /** It has no chunk index, and `chunkIndex` is the digest of its manifest: nothing can be verified before all of it is here. */
  readonly plain?: true | undefined
}

export interface LazyImage {
  readonly image: ResolvedImage
  /** Undefined when the image is here. */
  readonly lazy: LazyRootfs | undefined
  /** Whether a registry was asked for it. */
  readonly isNew: boolean
}

export interface BringLazily extends LongWork {
  /** Also what cannot be verified before all of it is here: one erofs image without a chunk index. */
  readonly unverified?: boolean | undefined
}

/**
 * The image that a reference stands for on this host, when it is here or is read in part already; else its manifest and its config are brought, and its lower is for
 * `lazy serve` to fetch. The caller holds the image.
 *
 * @throws Problem as resolveImage and findPublishedRootfs do; IMAGE_UNSUPPORTED when it was not published in a form that guests of this host can read
 */
export async function bringLazily(
  context: ImagesContext,
  ref: string,
  { unverified = false, ...work }: BringLazily,
): Promise<LazyImage> {
  const known = await findKnown(context, ref, { unverified })
  if (known !== undefined) return known
  const { registries, platform } = context
  const request = { registries, ref, platform, insecure: false, profiles: await wholeProfiles(context), ...work }
  const source = await findSource(context, request).catch(async (error: unknown) => {
    if (!unverified || !isProblem(error, 'IMAGE_UNSUPPORTED')) throw error
    const plain = await findPlainSource(context, request)
    if (plain === undefined) throw error
    return plain
  })
  const lazy = await bring(context, source, work)
  const image = await resolveImage(context, lazy.manifest)
  return { image: { ...image, ref }, lazy: lazy.rootfs, isNew: true }
}

/** What was found in a registry, and how to write that down. */
interface FoundSource {
  readonly found: Pick<FoundRootfs, 'name' | 'repository' | 'remote'>
  readonly manifest: Digest
  readonly note: () => Promise<NotedSource>
}

type FindSource = FindPublishedRootfs & { readonly profiles: readonly LowerProfile[] }

async function findSource({ layout }: ImagesContext, request: FindSource): Promise<FoundSource> {
  const found = await findPublishedRootfs(request)
  const note = () => noteFound(layout, found, { reference: request.ref, insecure: false })
  return { found, manifest: found.rootfs.manifest.subject.digest, note }
}

async function findPlainSource({ layout }: ImagesContext, request: FindSource): Promise<FoundSource | undefined> {
  const found = await findPlainLower(request)
  if (found === undefined) return undefined
  const profile = await profileOfPlain(found, request)
  const note = () => noteFoundPlain(layout, found, { reference: request.ref, insecure: false, profile })
  return { found, manifest: found.manifest, note }
}

/** Of what is here: nothing is asked for that need not be. */
async function findKnown(
  context: ImagesContext,
  ref: string,
  { unverified }: Pick<BringLazily, 'unverified'>,
): Promise<LazyImage | undefined> {
  const image = await resolveImage(context, ref).catch((error: unknown) => {
    if (isProblem(error, 'IMAGE_NOT_FOUND') && !isLocalOnly(ref)) return undefined
    throw error
  })
  if (image === undefined) return undefined
  if (await isBootable(context, image)) return { image, lazy: undefined, isNew: false }
  const known = await lazyOf(context, image)
  const lazy = known?.plain === true && !unverified ? undefined : known
  // What only this host has a name for cannot be asked for elsewhere.
  return lazy === undefined && !isLocalOnly(ref) ? undefined : { image, lazy, isNew: false }
}

/** Whether its lower is here or can be built. */
export async function isBootable(context: ImagesContext, image: ResolvedImage): Promise<boolean> {
  return findKeptLower(context.layout, image.manifestDigest) !== undefined || (await isOfItsLayers(context, image))
}

/** Whether there is a lower that its layers gave, or will give. */
async function isOfItsLayers(context: ImagesContext, image: ResolvedImage): Promise<boolean> {
  const kinds = await context.lowerKinds()
  if (findLower(context.layout, image.manifestDigest, kinds) !== undefined) return true
  const [kind = plainWhole] = kinds
  return (await lostLayers(context, imageLayers(context.blobs, image), kind.profile)).length === 0
}

/** How an image is read that is partly here, by one of the indexes that it came with: another says nothing of it. */
export async function lazyOf(context: ImagesContext, image: ResolvedImage): Promise<LazyRootfs | undefined> {
  const { descriptor, origin } = await findImage(context.blobs, image.manifestDigest)
  const indexes = new Set<string>([descriptor.digest, ...origin.indexes])
  const profiles = await wholeProfiles(context)
  for (const { chunkIndex, source } of await listLazyLowers(context.layout)) {
    if (source.manifest_digest !== image.manifestDigest || !indexes.has(source.published_as)) continue
    if (!profiles.includes(source.profile)) continue
    // As an earlier version has it: its directory is of no manifest.
    if (source.plain === true && source.blob_digest === undefined) continue
    return rootfsOf({ chunkIndex, source })
  }
  return undefined
}

function rootfsOf({ chunkIndex, source }: KnownLower): LazyRootfs {
  const reference = `${formatRepository(source.repository)}@${source.published_as}`
  return { reference, chunkIndex, profile: source.profile, ...(source.plain === true && { plain: true }) }
}

/** Until it is written down. */
async function noteWith(note: FoundSource['note']): Promise<NotedSource> {
  const noted = await note()
  try {
    await noted.written
    return noted
  } finally {
    noted.lock.release()
  }
}

/** Its source is noted before its documents are visible: whoever finds them finds how to read it. */
async function bring(
  context: ImagesContext,
  { found, manifest, note }: FoundSource,
  { onProgress, signal }: LongWork,
): Promise<{ readonly manifest: Digest; readonly rootfs: LazyRootfs }> {
  const { platform, leases } = context
  using lease = leases.openBlobLease()
  lease.add(manifest)
  await leases.settled()
  const noted = await noteWith(note)
  await orUndo(context, lease, (made) =>
    bringDocuments(context, { ...found, platform, lease, made, onProgress, signal, bringLower: async () => {} }),
  )
  // A removal that was planned before the image was visible looks at our lease until it ends.
  await leases.settled()
  return { manifest, rootfs: rootfsOf(noted) }
}

/**
 * Makes sure that a lazy lower can be served, also after its cache was removed.
 *
 * @throws Problem IMAGE_INVALID when its index has another one now; what the registry's client throws
 */
export async function ensureLazySource(context: ImagesContext, lazy: LazyRootfs, work: LongWork): Promise<void> {
  const { layout, registries, platform } = context
  const { reference, chunkIndex, profile, plain } = lazy
  const isKnown = (await listLazyLowers(layout)).some((known) => known.chunkIndex === chunkIndex)
  if (isKnown && (plain === true || (await readLazyIndex(layout, chunkIndex)) !== undefined)) return
  const request = { registries, ref: reference, platform, insecure: false, profiles: [profile], signal: work.signal }
  const found = plain === true ? await findPlainSource(context, request) : await findSource(context, request)
  const noted = found && (await noteWith(found.note))
  if (noted?.chunkIndex === chunkIndex) return
  throw new Problem('IMAGE_INVALID', `${reference} has not the rootfs ${shortDigest(chunkIndex)} that the shed reads`, {
    hint: `bring all of it, and start the shed again: cowshed image pull ${reference}`,
  })
}

/** Whether all of an image is here by now, so that it need not be read in part any more: the same lower whole, or what its layers give. */
export async function isHereWhole(
  context: ImagesContext,
  manifest: Digest,
  { chunkIndex }: LazyRootfs,
): Promise<boolean> {
  const kept = findKeptLower(context.layout, manifest) !== undefined
  if (kept && (await readKeptRecord(context.layout, manifest)) === 'none') return true
  if ((await findKeptAs(context.layout, manifest, chunkIndex)) !== undefined) return true
  return await isOfItsLayers(context, await resolveImage(context, manifest))
}

/**
 * Whether the very lower that is read in part is here whole by now, and is what sheds of its image read: what its layers give comes before it, and what goes on from a memory must not find
 * another form of it.
 */
export async function isKeptAs(context: ImagesContext, manifest: Digest, chunkIndex: Digest): Promise<boolean> {
  if ((await findKeptAs(context.layout, manifest, chunkIndex)) === undefined) return false
  return !(await isOfItsLayers(context, await resolveImage(context, manifest)))
}

async function wholeProfiles({ lowerKinds }: ImagesContext): Promise<LowerProfile[]> {
  return (await lowerKinds()).filter(({ form }) => form === 'whole').map(({ profile }) => profile)
}
