import { type Digest, isProblem, shortDigest } from '../../base/index.ts'
import type { ImageFinding, VerifyImagesReply } from '../../contract/index.ts'
import { documentKind } from '../../formats/index.ts'
import { findImage, type StoredImage, storedImages } from '../find-image.ts'
import type { ImagesContext } from '../images-context.ts'
import { findKeptLower } from '../kept/find-kept-lower.ts'
import type { LongWork } from '../long-work.ts'
import { forEachAtOnce } from '../lowers/for-each-at-once.ts'
import { blobComplaint, missing } from './blob-complaint.ts'
import { builtLowers } from './built-lowers.ts'
import { builtRootfs } from './built-rootfs.ts'
import { type CachedLayerUse, cachedLayers, layerComplaint } from './cached-layers.ts'
import { type Contents, contentsOf, type NeededBlob, type NeededManifest } from './contents-of.ts'
import { bringAgain, removeIt, repairIt } from './mends.ts'
import { attempt, notTried, outcome, repairLayer } from './repair.ts'
import type { Verification } from './verification.ts'
import { verifyLowers } from './verify-lowers.ts'
import { VerifyProgress } from './verify-progress.ts'
import { verifyRootfs } from './verify-rootfs.ts'

export interface VerifyRequest extends LongWork {
  /** Every image when there are none. */
  readonly refs: readonly string[]
  readonly repair: boolean
}

/** Hashing is the processor's work and reading the disk's: with two at a time neither waits. */
const atOnce = 2

/**
 * Reads everything that images have on disk and holds it against what it must be: blobs against their digests and sizes, documents against
 * what refers to them, cached layers against their indexes, lowers and root filesystems against their layers. It changes nothing, unless it is to repair: then what can be
 * made of intact sources is made again, but no lower that a VM has open.
 *
 * @throws Problem IMAGE_NOT_FOUND, INVALID_REQUEST, RECORD_INVALID (index.json), CANCELLED
 */
export async function verifyImages(context: ImagesContext, request: VerifyRequest): Promise<VerifyImagesReply> {
  const { onProgress, signal, repair } = request
  using held = holdImages(context, await imagesOf(context, request.refs))
  const { images } = held
  const contents = await contentsOf(context.blobs, images)
  const progress = new VerifyProgress(onProgress)
  const run: Verification = { context, contents, progress, findings: [], notes: [], repair, signal }
  const damagedBlobs = await verifyBlobs(run)
  const layers = await cachedLayers(context, contents)
  const damagedLayers = await verifyLayers(run, layers, damagedBlobs)
  const lowers = await builtLowers(context, contents)
  await verifyLowers(run, lowers, { damagedBlobs, damagedLayers })
  const rootfs = await builtRootfs(context, contents)
  await verifyRootfs(run, rootfs, { damagedBlobs, damagedLayers })
  const made = { layers: layers.length, lowers: lowers.length, rootfs: rootfs.length }
  const checked = { images: images.length, blobs: contents.blobs.size, ...made, bytes: progress.bytes }
  return { checked, findings: run.findings, notes: run.notes }
}

async function imagesOf({ blobs }: ImagesContext, refs: readonly string[]): Promise<StoredImage[]> {
  if (refs.length === 0) {
    const all = storedImages((await blobs.readIndex()).entries)
    // Whatever else is kept in the layout is not ours to judge.
    return all.filter(({ descriptor }) => documentKind(descriptor.mediaType) !== undefined)
  }
  const found = await Promise.all(refs.map((ref) => findImage(blobs, ref)))
  return [...new Map(found.map((image) => [image.descriptor.digest, image])).values()]
}

/** They must not go while they are looked at; one that is just going is none any more. */
function holdImages({ leases }: ImagesContext, images: readonly StoredImage[]) {
  const held: StoredImage[] = []
  const holds: Disposable[] = []
  for (const image of images) {
    try {
      holds.push(leases.holdImage(image.descriptor.digest))
      held.push(image)
    } catch (error) {
      if (!isProblem(error, 'IMAGE_NOT_FOUND')) throw error
    }
  }
  const release = () => {
    for (const hold of holds) hold[Symbol.dispose]()
  }
  return { images: held, [Symbol.dispose]: release }
}

/** @returns those of which nothing can be made, because they are damaged or not here */
async function verifyBlobs({
  context,
  contents,
  progress,
  findings,
  notes,
  signal,
}: Verification): Promise<Set<Digest>> {
  const damaged = new Set<Digest>()
  const dispensable = dispensableLayers(context, contents)
  const blobs = [...contents.blobs.values()]
  for (const { descriptor } of blobs) progress.expect(shortDigest(descriptor.digest), descriptor.size)
  await forEachAtOnce(blobs, atOnce, async (blob) => {
    const { descriptor } = blob
    const onBytes = progress.of(shortDigest(descriptor.digest))
    const complaint = await blobComplaint(context.blobs, descriptor, { onBytes, signal })
    if (complaint !== undefined) damaged.add(descriptor.digest)
    if (complaint === missing && dispensable.has(descriptor.digest)) {
      notes.push(
        `layer ${shortDigest(descriptor.digest)} of ${[...blob.images].sort().join(', ')} is not here, and not needed to boot`,
      )
      return
    }
    const message = complaint ?? blob.complaint
    if (message === undefined) return
    findings.push(blobFinding(context, blob, { message, mend: complaint === undefined ? removeIt : bringAgain }))
  })
  return damaged
}

/** Layers that are there for a push only: their manifests' lowers are kept. */
function dispensableLayers({ layout }: ImagesContext, { manifests }: Contents): Set<Digest> {
  const all = [...manifests.values()]
  const kept = all.filter(({ descriptor }) => findKeptLower(layout, descriptor.digest) !== undefined)
  const layersOf = (some: readonly NeededManifest[]) =>
    some.flatMap(({ manifest }) => manifest.layers.map(({ digest }) => digest))
  const needed = new Set(layersOf(all.filter((one) => !kept.includes(one))))
  return new Set(layersOf(kept).filter((digest) => !needed.has(digest)))
}

type Mend = (images: readonly string[]) => string

function blobFinding(
  { blobs }: ImagesContext,
  { descriptor: { digest }, images }: NeededBlob,
  { message, mend }: { readonly message: string; readonly mend: Mend },
): ImageFinding {
  const names = [...images].sort()
  return { kind: 'blob', digest, path: blobs.path(digest), images: names, message, mend: mend(names), repaired: false }
}

/** @returns the diff_ids of those that are damaged still */
async function verifyLayers(
  { context, progress, findings, repair, signal }: Verification,
  layers: readonly CachedLayerUse[],
  damagedBlobs: ReadonlySet<Digest>,
): Promise<Set<Digest>> {
  const damaged = new Set<Digest>()
  for (const { diffId, dataBytes } of layers) progress.expect(shortDigest(diffId), dataBytes)
  await forEachAtOnce(layers, atOnce, async (layer) => {
    const complaint = await layerComplaint(layer, { onBytes: progress.of(shortDigest(layer.diffId)), signal })
    if (complaint === undefined) return
    const { diffId, indexPath, blob } = layer
    const names = [...layer.images].sort()
    const mendable = !damagedBlobs.has(blob)
    const failure = repair && mendable ? await attempt(() => repairLayer(context, layer, { signal })) : notTried
    const { repaired, message } = outcome(complaint, failure)
    if (!repaired) damaged.add(diffId)
    const mend = mendable ? repairIt(names) : bringAgain(names)
    findings.push({ kind: 'layer', digest: diffId, path: indexPath, images: names, message, mend, repaired })
  })
  return damaged
}
