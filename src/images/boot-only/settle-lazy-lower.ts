import { chmod } from 'node:fs/promises'
import { type DataLayout, type Digest, isProblem, problemFromSystem, shortDigest } from '../../base/index.ts'
import { encodeChunkIndex } from '../../formats/index.ts'
import { fileStatus, installFile, openStaging, syncDirectory, syncFile } from '../../host/index.ts'
import {
  blobOf,
  forgetWhole,
  holdWhole,
  type LazySource,
  plainIndexOf,
  readLazySource,
  readStoredIndex,
  removeLazyLower,
  type StoredIndex,
} from '../../lazy/index.ts'
import { findImage } from '../find-image.ts'
import type { ImagesContext } from '../images-context.ts'
import { findKeptLower } from '../kept/find-kept-lower.ts'
import type { LongWork } from '../long-work.ts'
import { checkLower } from '../lowers/check-lower.ts'
import { resolveImage } from '../resolve-image.ts'
import { isBootable } from './bring-lazily.ts'
import { findKeptAs } from './find-kept-as.ts'
import { hashLeaves } from './hash-leaves.ts'
import { noteKept } from './note-kept.ts'
import { publishedComplaint } from './published-complaint.ts'

/** What became of a lazy lower: it is the lower of its image from now on, it was that before, or it is as it was. */
export type SettledLazy = 'kept' | 'kept before' | 'lazy'

/**
 * Makes of a lazy lower that is whole what a pull would have left, by one rename: those who serve it go on, and whoever starts after that needs no registry. Of one that
 * is that already, what is left is removed when nobody needs it. That it is whole is looked at here, leaf by leaf.
 * @see docs/decisions/0154-a-lazy-lower-that-is-whole.md
 * @throws Problem NO_SPACE, IO_FAILED, CANCELLED; it is then as it was
 */
export async function settleLazyLower(
  context: ImagesContext,
  chunkIndex: Digest,
  work: LongWork,
): Promise<SettledLazy> {
  const { layout } = context
  const source = await readLazySource(layout, chunkIndex)
  if (source === undefined) return 'lazy'
  const before = await findKeptAs(layout, source.manifest_digest, chunkIndex)
  const known = { ...work, chunkIndex, source }
  if (before === undefined && !(await keepIfWhole(context, known))) return 'lazy'
  await dropRest(context, known)
  return before === undefined ? 'kept' : 'kept before'
}

interface Known extends LongWork {
  readonly chunkIndex: Digest
  readonly source: LazySource
}

async function keepIfWhole(context: ImagesContext, known: Known): Promise<boolean> {
  const { layout, leases } = context
  const { chunkIndex, source } = known
  // While nobody has seen it whole that is all there is to do.
  using lock = await holdWhole(layout, chunkIndex)
  if (lock === undefined) return false
  const manifest = source.manifest_digest
  using hold = holdUnlessGoing(context, manifest)
  if (hold === undefined) return false
  await leases.settled()
  if (!(await isWanted(context, source))) return false
  const stored = await (source.plain === true ? verifiedPlain(context, known) : verifiedIndex(context, known))
  if (stored === undefined) return false
  await using staging = await openStaging(layout, `lazy-${shortDigest(manifest)}`)
  return await leases.removal(() => keep(context, { ...known, stored, staging: staging.path }))
}

/** Undefined when its image is just being removed. */
function holdUnlessGoing({ leases }: ImagesContext, manifest: Digest): Disposable | undefined {
  try {
    return leases.holdImage(manifest)
  } catch (error) {
    if (isProblem(error, 'IMAGE_NOT_FOUND')) return undefined
    throw error
  }
}

/** Whether its image is here, by that publication, and has nothing else to boot from: what nobody here has asked for is a cache, and stays one. */
async function isWanted(context: ImagesContext, { manifest_digest, published_as }: LazySource): Promise<boolean> {
  try {
    const { descriptor, origin } = await findImage(context.blobs, manifest_digest)
    if (![descriptor.digest, ...origin.indexes].includes(published_as)) return false
    return !(await isBootable(context, await resolveImage(context, manifest_digest)))
  } catch (error) {
    if (isProblem(error, 'IMAGE_NOT_FOUND')) return false
    throw error
  }
}

interface Candidate extends Known {
  readonly stored: StoredIndex
}

/** Its chunk index, when it is what that says. Durable as well: whoever noted that it is whole may have been another's disk ago. */
async function verifiedIndex({ layout }: ImagesContext, known: Known): Promise<StoredIndex | undefined> {
  const { chunkIndex, source, onProgress, signal } = known
  const { data } = layout.lazyLower(chunkIndex)
  const stored = await readStoredIndex(layout, chunkIndex)
  if (stored === undefined) return undefined
  const { writerVersion } = stored.index
  const identity = { manifest: source.manifest_digest, profile: source.profile, writerVersion }
  return await unlessWrong(layout, chunkIndex, async () => {
    if (publishedComplaint(data, identity) !== undefined) return 'unknown'
    await syncFile(data)
    const leaves = await hashLeaves({
      paths: [data],
      onBytes: (done) => onProgress?.({ phase: 'verify', done, total: source.lower_bytes }),
      signal,
    })
    return leaves.equals(stored.index.leaves) ? stored : 'wrong'
  })
}

/** The same of one that came as a single blob: its chunk index is made here, of what has the digest of all of it. */
async function verifiedPlain(
  { layout }: ImagesContext,
  { chunkIndex, source, signal }: Known,
): Promise<StoredIndex | undefined> {
  const { data } = layout.lazyLower(chunkIndex)
  const blob = { digest: blobOf({ chunkIndex, source }), bytes: source.lower_bytes }
  return await unlessWrong(layout, chunkIndex, async () => {
    if (checkLower(data).complaint !== undefined) return 'unknown'
    await syncFile(data)
    const index = await plainIndexOf(data, blob, signal)
    return index === undefined ? 'wrong' : { index, bytes: encodeChunkIndex(index) }
  })
}

async function unlessWrong(
  layout: DataLayout,
  chunkIndex: Digest,
  verify: () => Promise<StoredIndex | 'unknown' | 'wrong'>,
): Promise<StoredIndex | undefined> {
  try {
    const found = await verify()
    if (found === 'wrong') await forgetWhole(layout, chunkIndex)
    return typeof found === 'string' ? undefined : found
  } catch (error) {
    // Somebody else was quicker.
    if (isProblem(error, 'FILE_NOT_FOUND')) return undefined
    throw error
  }
}

interface Keep extends Candidate {
  readonly staging: string
}

/**
 * One after another, as removals are. What says where it is from comes first, as in a pull; a kill leaves either name of it. Those who have it open may mend a leaf there: they
 * write what is right, and nothing else.
 */
async function keep({ layout }: ImagesContext, { chunkIndex, source, stored, staging }: Keep): Promise<boolean> {
  const { manifest_digest: manifest, reference, published_as: publishedAs } = source
  // A pull was quicker.
  if (findKeptLower(layout, manifest) !== undefined)
    return (await findKeptAs(layout, manifest, chunkIndex)) !== undefined
  const { dir, data } = layout.lazyLower(chunkIndex)
  const to = layout.keptLower(manifest)
  const blob = source.plain === true ? blobOf({ chunkIndex, source }) : undefined
  await noteKept(layout, { manifest, reference, publishedAs, indexBytes: stored.bytes, blob, staging })
  await installFile({ from: data, to })
  await syncDirectory(dir)
  try {
    // Not before: a cache that its owner may not write to would be of no use to whoever serves it after a kill.
    await chmod(to, 0o444)
  } catch (error) {
    throw problemFromSystem(error, `protect ${to}`)
  }
  return true
}

/** Boot traces that were recorded here are for whoever publishes the image. Whoever serves it has it locked; and where a guest runs, another may have to be started who looks there. */
async function dropRest({ layout, users }: ImagesContext, { chunkIndex, source }: Known): Promise<void> {
  if ((await fileStatus(layout.lazyLower(chunkIndex).traces)) !== undefined) return
  const isReadBySomebody = await users().then(
    (all) =>
      all.some(
        ({ manifestDigest, isRunning, isLazy }) =>
          isRunning && isLazy === true && manifestDigest === source.manifest_digest,
      ),
    (error: unknown) => {
      if (isProblem(error)) return true
      throw error
    },
  )
  if (!isReadBySomebody) await removeLazyLower(layout, chunkIndex)
}
