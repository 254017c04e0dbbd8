import { type Digest, Problem, shortDigest } from '../../base/index.ts'
import { allocation } from '../../host/index.ts'
import { pinnedReason } from '../../state/index.ts'
import { storedImages } from '../find-image.ts'
import { findManifest } from '../find-manifest.ts'
import { type GraphManifest, type ImageGraph, readImageGraph } from '../image-graph.ts'
import { whoUses } from '../image-users.ts'
import type { ImagesContext } from '../images-context.ts'
import { findLower } from '../lowers/ensure-lower.ts'
import { lowerKinds } from '../lowers/lower-kind.ts'
import type { RemovalFile } from '../plan-removal.ts'
import { removeFiles } from '../remove-image.ts'
import { findKeptLower } from './find-kept-lower.ts'
import { keepLower } from './keep-lower.ts'

/** What an image could do without. */
export interface LayerDrop {
  /** What its tags point at. */
  readonly digest: Digest
  readonly tags: readonly string[]
  /** Blobs of layers that nothing needs but a push or a save; each is listed with the first image that has it. */
  readonly files: readonly RemovalFile[]
  /** Why it keeps the others, when it does. */
  readonly kept: string | undefined
}

/**
 * Which layers' blobs could go, image by image: those of manifests whose lower is here, as long as no other manifest needs them to build its own.
 *
 * @throws Problem RECORD_INVALID when any image cannot be read: what it needs cannot be known
 */
export async function planLayerDrops(context: ImagesContext): Promise<LayerDrop[]> {
  const images = await readImages(context)
  const pins = await context.pins.read()
  const isPinned = ({ digest }: ReadImage) => pins.has({ kind: 'image', id: digest })
  const needed = await neededBlobs(context, images, isPinned)
  const claimed = new Set<Digest>()
  const drops: LayerDrop[] = []
  for (const image of images) {
    const { digest, tags, graph } = image
    const files: RemovalFile[] = []
    for (const blob of layersOf(graph.manifests)) {
      if (needed.has(blob) || claimed.has(blob) || context.leases.isLeased(blob)) continue
      claimed.add(blob)
      const path = context.layout.blob(blob)
      if (await context.blobs.has(blob)) files.push({ kind: 'blob', digest: blob, path, ...(await allocation(path)) })
    }
    const name = tags[0] ?? shortDigest(digest)
    const kept = isPinned(image) ? pinnedReason('image', name) : await whyKept(context, graph, needed)
    drops.push({ digest, tags, files, kept })
  }
  return drops
}

/**
 * Removes the blobs of an image's layers, so far as a plan made now allows it too. From then on its lower is what cannot be made again, and is
 * where no cache is evicted: before that it is held against the layers, byte for byte.
 *
 * @returns the physical bytes of what went
 * @throws Problem RECORD_INVALID; PLAN_CHANGED when some of what was planned is needed by now; EROFS_INVALID when a lower is not what its layers
 *   give, IMAGE_INCOMPLETE when that cannot be told. Then nothing has been removed
 */
export async function dropLayers(context: ImagesContext, planned: LayerDrop): Promise<number> {
  const wanted = new Set(planned.files.map(({ digest }) => digest))
  await stillDroppable(context, wanted)
  // It takes its time, and a shed that starts waits for removals: so before the removal.
  const kept = new Set<Digest>()
  for (const manifest of await manifestsLosing(context, wanted)) {
    await keepLower(context, manifest)
    kept.add(manifest.descriptor.digest)
  }
  return await context.leases.removal(async () => {
    const files = await stillDroppable(context, wanted)
    for (const { descriptor } of await manifestsLosing(context, wanted)) {
      if (kept.has(descriptor.digest) && findKeptLower(context.layout, descriptor.digest) !== undefined) continue
      throw neededByNow()
    }
    const removed = await removeFiles(context, files)
    return removed.reduce((sum, { physicalBytes }) => sum + physicalBytes, 0)
  })
}

/** @throws Problem PLAN_CHANGED unless all that is wanted could go now */
async function stillDroppable(context: ImagesContext, wanted: ReadonlySet<Digest>): Promise<RemovalFile[]> {
  const files = (await planLayerDrops(context)).flatMap((drop) => drop.files).filter(({ digest }) => wanted.has(digest))
  if (files.length < wanted.size) throw neededByNow()
  return files
}

function neededByNow(): Problem {
  return new Problem('PLAN_CHANGED', 'some of its layers are needed by now')
}

/** Every manifest that loses a layer, whatever image it is of. */
async function manifestsLosing(context: ImagesContext, layers: ReadonlySet<Digest>): Promise<GraphManifest[]> {
  const manifests = (await readImages(context)).flatMap(({ graph }) => graph.manifests)
  const losing = manifests.filter((manifest) => layersOf([manifest]).some((layer) => layers.has(layer)))
  return [...new Map(losing.map((manifest) => [manifest.descriptor.digest, manifest])).values()]
}

interface ReadImage {
  readonly digest: Digest
  readonly tags: readonly string[]
  readonly graph: ImageGraph
}

/** Those of index.json, and what else sheds or work in flight need. @throws Problem RECORD_INVALID */
async function readImages(context: ImagesContext): Promise<ReadImage[]> {
  const { blobs, leases } = context
  const images: ReadImage[] = await Promise.all(
    storedImages((await blobs.readIndex()).entries).map(async ({ descriptor, tags }) => ({
      digest: descriptor.digest,
      tags,
      graph: await readImageGraph(blobs, descriptor),
    })),
  )
  const known = new Set<string>(images.flatMap(({ digest, graph }) => [digest, ...manifestsOf(graph)]))
  const pinned = (await context.users()).map(({ name, manifestDigest }) => [
    manifestDigest,
    `${whoUses(name)} is pinned to`,
  ])
  const held = leases.heldImages().map((digest) => [digest, 'work in flight holds'])
  for (const [digest = '', who = ''] of [...pinned, ...held]) {
    if (known.has(digest)) continue
    known.add(digest)
    const descriptor = await findManifest(blobs, digest, who)
    images.push({ digest: descriptor.digest, tags: [], graph: await readImageGraph(blobs, descriptor) })
  }
  return images
}

function manifestsOf({ manifests }: ImageGraph): Digest[] {
  return manifests.map(({ descriptor }) => descriptor.digest)
}

/** Layers of images; what else a manifest has for layers, nobody here can make again. */
function layersOf(manifests: readonly GraphManifest[]): Digest[] {
  const images = manifests.filter(({ config }) => config !== undefined)
  return [...new Set(images.flatMap(({ manifest }) => manifest.layers.map(({ digest }) => digest)))]
}

/** Blobs that are pinned, or more than layers of manifests whose lowers are here. */
async function neededBlobs(
  context: ImagesContext,
  images: readonly ReadImage[],
  isPinned: (image: ReadImage) => boolean,
): Promise<Set<Digest>> {
  const needed = new Set<Digest>()
  for (const image of images) {
    const { graph } = image
    if (isPinned(image)) for (const digest of graph.blobs.keys()) needed.add(digest)
    const ready = await readyManifests(context, graph)
    const layers = new Set(layersOf(ready))
    for (const digest of graph.blobs.keys()) if (!layers.has(digest)) needed.add(digest)
    for (const digest of layersOf(graph.manifests.filter((one) => !ready.includes(one)))) needed.add(digest)
  }
  return needed
}

async function readyManifests({ layout, leases }: ImagesContext, { manifests }: ImageGraph): Promise<GraphManifest[]> {
  const held = new Set(leases.heldImages())
  const ready: GraphManifest[] = []
  for (const one of manifests) {
    const { digest } = one.descriptor
    if (held.has(digest)) continue
    const lower = findKeptLower(layout, digest) ?? findLower(layout, digest, lowerKinds)
    if (lower !== undefined) ready.push(one)
  }
  return ready
}

async function whyKept(context: ImagesContext, { manifests }: ImageGraph, needed: ReadonlySet<Digest>) {
  const images = manifests.filter(({ config }) => config !== undefined)
  if (!layersOf(images).some((layer) => needed.has(layer))) return undefined
  const held = new Set(context.leases.heldImages())
  if (images.some(({ descriptor }) => held.has(descriptor.digest))) return 'work in flight uses it'
  const ready = await readyManifests(context, { blobs: new Map(), manifests: images })
  return ready.length < images.length
    ? 'it has no lower yet'
    : 'another image, which has no lower yet, needs its layers'
}
