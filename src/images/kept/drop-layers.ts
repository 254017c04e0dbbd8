import { link, mkdir, stat } from 'node:fs/promises'
import { type Digest, errnoCode, Problem, problemFromSystem } from '../../base/index.ts'
import { allocation, syncDirectory } from '../../host/index.ts'
import { storedImages } from '../find-image.ts'
import { type GraphManifest, type ImageGraph, readImageGraph } from '../image-graph.ts'
import { imageLayers } from '../image-layers.ts'
import type { ImagesContext } from '../images-context.ts'
import { findLower } from '../lowers/ensure-lower.ts'
import { type LowerKind, lowerKinds } from '../lowers/lower-kind.ts'
import type { RemovalFile } from '../plan-removal.ts'
import { removeFiles } from '../remove-image.ts'
import { findKeptLower } from './find-kept-lower.ts'

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
  const needed = await neededBlobs(context, images)
  const claimed = new Set<Digest>()
  const drops: LayerDrop[] = []
  for (const { digest, tags, graph } of images) {
    const files: RemovalFile[] = []
    for (const blob of layersOf(graph.manifests)) {
      if (needed.has(blob) || claimed.has(blob) || context.leases.isLeased(blob)) continue
      claimed.add(blob)
      const path = context.layout.blob(blob)
      if (await context.blobs.has(blob)) files.push({ kind: 'blob', digest: blob, path, ...(await allocation(path)) })
    }
    drops.push({ digest, tags, files, kept: await whyKept(context, graph, needed) })
  }
  return drops
}

/**
 * Removes the blobs of an image's layers, so far as a plan made now allows it too. From then on its lower is what cannot be made again, and is
 * where no cache is evicted.
 *
 * @returns the physical bytes of what went
 * @throws Problem RECORD_INVALID, PLAN_CHANGED when some of what was planned is needed by now; then nothing has been removed
 */
export function dropLayers(context: ImagesContext, planned: LayerDrop): Promise<number> {
  return context.leases.removal(async () => {
    const wanted = new Set(planned.files.map(({ digest }) => digest))
    const now = (await planLayerDrops(context)).flatMap(({ files }) => files).filter(({ digest }) => wanted.has(digest))
    if (now.length < wanted.size) throw new Problem('PLAN_CHANGED', 'some of its layers are needed by now')
    // Every manifest that loses a layer, whatever image it is of.
    for (const { graph } of await readImages(context)) {
      for (const manifest of graph.manifests) {
        if (layersOf([manifest]).some((layer) => wanted.has(layer))) await keepLower(context, manifest)
      }
    }
    const removed = await removeFiles(context, now)
    return removed.reduce((sum, { physicalBytes }) => sum + physicalBytes, 0)
  })
}

interface ReadImage {
  readonly digest: Digest
  readonly tags: readonly string[]
  readonly graph: ImageGraph
}

async function readImages({ blobs }: ImagesContext): Promise<ReadImage[]> {
  const images = storedImages((await blobs.readIndex()).entries)
  return await Promise.all(
    images.map(async ({ descriptor, tags }) => ({
      digest: descriptor.digest,
      tags,
      graph: await readImageGraph(blobs, descriptor),
    })),
  )
}

/** Layers of images; what else a manifest has for layers, nobody here can make again. */
function layersOf(manifests: readonly GraphManifest[]): Digest[] {
  const images = manifests.filter(({ config }) => config !== undefined)
  return [...new Set(images.flatMap(({ manifest }) => manifest.layers.map(({ digest }) => digest)))]
}

/** Blobs that are more than layers of manifests whose lowers are here. */
async function neededBlobs(context: ImagesContext, images: readonly ReadImage[]): Promise<Set<Digest>> {
  const needed = new Set<Digest>()
  for (const { graph } of images) {
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

/**
 * Gives the lower a second name, outside of the cache. The first stays until the cache is evicted: a shed that is just starting has it in hand. One in parts
 * is put together first: its data would go with the layers.
 */
async function keepLower(context: ImagesContext, { descriptor, manifest, config }: GraphManifest): Promise<void> {
  const { layout } = context
  const { digest } = descriptor
  if (findKeptLower(layout, digest) !== undefined || config === undefined) return
  const found = findLower(layout, digest, lowerKinds)
  const kind: LowerKind = { profile: found?.kind.profile ?? 'plain', form: 'whole' }
  const layers = imageLayers(context.blobs, { manifest, config })
  const { path } = await context.ensureLower({ layout, manifest: digest, layers, kind })
  const to = layout.keptLower(digest)
  try {
    await mkdir(layout.keptLowers, { recursive: true })
    await link(path, to)
    await syncDirectory(layout.keptLowers)
  } catch (error) {
    if (errnoCode(error) === 'EEXIST' && (await stat(to)).isFile()) return
    throw problemFromSystem(error, `keep the lower ${to}`)
  }
}
