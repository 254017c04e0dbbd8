import { type Digest, isDigest, isProblem, Problem } from '../base/index.ts'
import type { Descriptor } from '../formats/index.ts'
import { allocation } from '../host/index.ts'
import { derivedFiles } from './cache/derived-files.ts'
import { storedImages } from './find-image.ts'
import { findManifest } from './find-manifest.ts'
import { type ImageGraph, readImageGraph } from './image-graph.ts'
import { usersOf, whoUses } from './image-users.ts'
import type { ImagesContext, ImageUser } from './images-context.ts'
import { keptFiles } from './kept/kept-files.ts'

export interface RemovalFile {
  readonly kind: 'blob' | 'layer' | 'lower'
  readonly path: string
  /** Of the blob, of the layer's content, or of the lower's manifest. */
  readonly digest: Digest
  readonly logicalBytes: number
  readonly physicalBytes: number
}

/** What would go with an image, seen as if what comes before it in the plan were gone already. */
export interface RemovalPlan {
  readonly digest: Digest
  readonly tags: readonly string[]
  /** Nothing may remove it: `files` is empty. */
  readonly isPinned: boolean
  /** The sheds that keep it: when there are any, `files` is empty. */
  readonly usedBy: readonly string[]
  readonly files: readonly RemovalFile[]
  /** Manifests of the image, those of all platforms. */
  readonly manifests: readonly Digest[]
}

export interface PlanRemovals {
  /** What tags point at: manifests or indexes of index.json, in the order in which they would go. */
  readonly images: readonly Digest[]
  /** Sheds that are to be seen as gone. */
  readonly withoutUsers?: ReadonlySet<string> | undefined
}

/**
 * What removing images would free, by reachability from everything that stays: the other images, the sheds, the work in flight.
 *
 * It fails when anything that stays cannot be read, because what that refers to cannot be known. An image that goes may be damaged: what it
 * is known to have goes, the rest stays as an orphan.
 * @throws Problem RECORD_INVALID naming what cannot be read; IMAGE_NOT_FOUND
 */
export async function planRemovals(context: ImagesContext, request: PlanRemovals): Promise<RemovalPlan[]> {
  const read = graphReader(context)
  const users = (await context.users()).filter((user) => !request.withoutUsers?.has(user.name))
  let staying = (await context.blobs.readIndex()).entries
  const pins = await context.pins.read()
  const claimed = new Set<string>()
  const plans: RemovalPlan[] = []
  for (const digest of request.images) {
    const image = storedImages(staying).find(({ descriptor }) => descriptor.digest === digest)
    if (image === undefined) throw new Problem('IMAGE_NOT_FOUND', `no image ${digest}`)
    const graph = await orPartial(read, image.descriptor)
    const usedBy = usersOf(graph, digest, users)
    const isPinned = pins.has({ kind: 'image', id: digest })
    const manifests = graph.manifests.map((one) => one.descriptor.digest)
    const base = { digest, tags: image.tags, isPinned, usedBy, manifests }
    if (isPinned || usedBy.length > 0) {
      plans.push({ ...base, files: [] })
      continue
    }
    staying = staying.filter((entry) => entry.descriptor?.digest !== digest)
    const roots = staying.flatMap((entry) => entry.descriptor ?? [])
    const kept = await reachableFrom(context, { roots, users, read })
    const files = (await existing(filesOf(context, graph, kept))).filter(({ path }) => !claimed.has(path))
    for (const { path } of files) claimed.add(path)
    plans.push({ ...base, files })
  }
  return plans
}

/** Everything that something needs. */
export interface Reachable {
  readonly blobs: ReadonlySet<Digest>
  readonly manifests: ReadonlySet<Digest>
  readonly diffIds: ReadonlySet<Digest>
}

type ReadGraph = (descriptor: Descriptor) => Promise<ImageGraph>

/** All that is needed by what index.json lists, by sheds and by work in flight. @throws Problem RECORD_INVALID */
export async function reachable(context: ImagesContext): Promise<Reachable> {
  const roots = (await context.blobs.readIndex()).entries.flatMap((entry) => entry.descriptor ?? [])
  return await reachableFrom(context, { roots, users: await context.users(), read: graphReader(context) })
}

interface Roots {
  readonly roots: readonly Descriptor[]
  readonly users: readonly ImageUser[]
  readonly read: ReadGraph
}

async function reachableFrom(context: ImagesContext, { roots, users, read }: Roots): Promise<Reachable> {
  const blobs = new Set<Digest>()
  const manifests = new Set<Digest>()
  const diffIds = new Set<Digest>()
  const mark = async (descriptor: Descriptor): Promise<void> => {
    const graph = await read(descriptor)
    for (const digest of graph.blobs.keys()) blobs.add(digest)
    for (const { descriptor: own, config } of graph.manifests) {
      manifests.add(own.digest)
      for (const diffId of config?.diffIds ?? []) diffIds.add(diffId)
    }
  }
  for (const root of roots) await mark(root)
  for (const { name, manifestDigest } of users) {
    if (isDigest(manifestDigest) && manifests.has(manifestDigest)) continue
    await mark(await findManifest(context.blobs, manifestDigest, `${whoUses(name)} is pinned to`))
  }
  for (const digest of context.leases.heldImages()) {
    if (!manifests.has(digest)) await mark(await findManifest(context.blobs, digest, 'work in flight holds'))
  }
  return { blobs, manifests, diffIds }
}

/** Documents never change, so each is read once for a plan. */
function graphReader({ blobs }: ImagesContext): ReadGraph {
  const read = new Map<Digest, Promise<ImageGraph>>()
  return (descriptor) => {
    const known = read.get(descriptor.digest) ?? readImageGraph(blobs, descriptor)
    read.set(descriptor.digest, known)
    return known
  }
}

/** A damaged image can be removed: what cannot be read of it is not followed. */
async function orPartial(read: ReadGraph, descriptor: Descriptor): Promise<ImageGraph> {
  try {
    return await read(descriptor)
  } catch (error) {
    if (isProblem(error)) return { blobs: new Map([[descriptor.digest, descriptor.size]]), manifests: [] }
    throw error
  }
}

type Candidate = Pick<RemovalFile, 'kind' | 'path' | 'digest'>

/** Every file of an image that nothing else needs, whether it is there or not; documents before what they refer to. */
function filesOf({ layout, leases }: ImagesContext, graph: ImageGraph, kept: Reachable): Candidate[] {
  const manifests = graph.manifests.filter(({ descriptor }) => !kept.manifests.has(descriptor.digest))
  const diffIds = new Set(
    manifests.flatMap(({ config }) => config?.diffIds ?? []).filter((id) => !kept.diffIds.has(id)),
  )
  const blobs = [...graph.blobs.keys()].filter((digest) => !kept.blobs.has(digest)).reverse()
  const all: Candidate[] = [
    ...blobs.map((digest) => ({ kind: 'blob' as const, digest, path: layout.blob(digest) })),
    ...[...diffIds].flatMap((digest) => derivedFiles(layout, 'layer', digest)),
    ...manifests.flatMap(({ descriptor }) => derivedFiles(layout, 'lower', descriptor.digest)),
    ...manifests.flatMap(({ descriptor }) => keptFiles(layout, descriptor.digest)),
  ]
  return all.filter(({ digest }) => !leases.isLeased(digest))
}

async function existing(candidates: readonly Candidate[]): Promise<RemovalFile[]> {
  const files: RemovalFile[] = []
  for (const candidate of candidates) {
    try {
      files.push({ ...candidate, ...(await allocation(candidate.path)) })
    } catch (error) {
      if (!isProblem(error, 'FILE_NOT_FOUND')) throw error
    }
  }
  return files
}
