import { type Digest, isDigest, isProblem, shortDigest } from '../../base/index.ts'
import { pinnedReason } from '../../state/index.ts'
import { storedImages } from '../find-image.ts'
import { findManifest } from '../find-manifest.ts'
import { type GraphManifest, readImageGraph, readManifestAndConfig } from '../image-graph.ts'
import type { ImagesContext, ImageUser } from '../images-context.ts'
import { findKeptLower } from '../kept/find-kept-lower.ts'
import { type DerivedFile, derivedFiles, rootfsUnit } from './derived-files.ts'

/** What is evicted as one: files that are made from the same thing and are of use only together. */
export interface CacheEntry {
  readonly kind: DerivedFile['kind']
  /** Of the layer's content, or of the manifest. */
  readonly digest: Digest
  readonly unit: string
  /** In the order in which they go, whether they are there or not. */
  readonly files: readonly DerivedFile[]
  /** The manifests that are served from it. */
  readonly manifests: readonly Digest[]
  /** What people call their images. */
  readonly images: readonly string[]
  /** Why it cannot go; undefined when nobody has it open and it can be made again from blobs. */
  readonly keptBy: string | undefined
}

/**
 * All that the cache may hold of the images and sheds that there are, and what keeps each from being evicted.
 *
 * @throws Problem RECORD_INVALID when the record of a shed, or the manifest of one that runs, cannot be read: what it has open cannot be known
 */
export async function listCache(context: ImagesContext): Promise<CacheEntry[]> {
  const users = await context.users()
  const served = await servedManifests(context, users)
  const layers = new Map<Digest, ServedManifest[]>()
  for (const manifest of served) {
    for (const diffId of new Set(manifest.layers.map((layer) => layer.diffId))) {
      layers.set(diffId, [...(layers.get(diffId) ?? []), manifest])
    }
  }
  return [
    ...[...layers].flatMap(([diffId, manifests]) => entriesOf(context, { kind: 'layer', digest: diffId, manifests })),
    ...served.flatMap((one) => entriesOf(context, { kind: 'lower', digest: one.digest, manifests: [one] })),
  ]
}

interface ServedManifest {
  readonly digest: Digest
  readonly layers: readonly { readonly diffId: Digest; readonly isHere: boolean }[]
  readonly names: readonly string[]
  /** There is a lower of it outside of the cache: it boots whatever goes from here. */
  readonly isKept: boolean
  /** The sheds that have it open, or may. */
  readonly runningIn: readonly string[]
  /** What one calls the pinned image that has it, if there is one. */
  readonly pinnedAs?: string | undefined
  /** Why it cannot be read. */
  readonly problem?: string
}

async function servedManifests(context: ImagesContext, users: readonly ImageUser[]): Promise<ServedManifest[]> {
  const served = new Map<Digest, ServedManifest>()
  const runningIn = (digest: Digest) =>
    users.filter((user) => user.isRunning && user.manifestDigest === digest).map(({ name }) => name)
  const pins = await context.pins.read()
  const add = async (manifest: GraphManifest, names: readonly string[], pinnedAs?: string) => {
    const { digest } = manifest.descriptor
    const known = served.get(digest)
    served.set(digest, {
      digest,
      layers: known?.layers ?? (await layersOf(context, manifest)),
      names: [...(known?.names ?? []), ...names],
      isKept: findKeptLower(context.layout, digest) !== undefined,
      runningIn: runningIn(digest),
      pinnedAs: pinnedAs ?? known?.pinnedAs,
    })
  }
  for (const { descriptor, tags } of storedImages((await context.blobs.readIndex()).entries)) {
    const names = tags.length === 0 ? [`<none>@${shortDigest(descriptor.digest)}`] : tags
    // Of an image that cannot be read nothing is known, so nothing of it is listed and nothing goes.
    const graph = await readImageGraph(context.blobs, descriptor).catch(undefinedIfProblem)
    const pinnedAs = pins.has({ kind: 'image', id: descriptor.digest }) ? names[0] : undefined
    for (const manifest of graph?.manifests ?? []) await add(manifest, names, pinnedAs)
  }
  const pinned = [...users.map((user) => user.manifestDigest).filter(isDigest), ...context.leases.heldImages()]
  for (const digest of new Set(pinned)) {
    if (served.has(digest)) continue
    const names = [`<none>@${shortDigest(digest)}`]
    try {
      const descriptor = await findManifest(context.blobs, digest, 'a shed is pinned to')
      await add({ descriptor, ...(await readManifestAndConfig(context.blobs, descriptor)) }, names)
    } catch (error) {
      // A shed that runs may have any layer open, if it cannot be known which are its own.
      if (!isProblem(error) || runningIn(digest).length > 0) throw error
      const isKept = findKeptLower(context.layout, digest) !== undefined
      served.set(digest, { digest, layers: [], names, isKept, runningIn: [], problem: error.message })
    }
  }
  return [...served.values()]
}

async function layersOf(
  { blobs }: ImagesContext,
  { manifest, config }: GraphManifest,
): Promise<ServedManifest['layers']> {
  const layers = manifest.layers.map(async ({ digest, size }, i) => {
    const diffId = config?.diffIds[i]
    return diffId === undefined ? [] : [{ diffId, isHere: (await blobs.size(digest)) === size }]
  })
  return (await Promise.all(layers)).flat()
}

interface Made {
  readonly kind: DerivedFile['kind']
  readonly digest: Digest
  readonly manifests: readonly ServedManifest[]
}

function entriesOf(context: ImagesContext, made: Made): CacheEntry[] {
  const { kind, digest, manifests } = made
  const files = derivedFiles(context.layout, kind, digest)
  const images = [...new Set(manifests.flatMap(({ names }) => names))]
  return [...new Set(files.map((file) => file.unit))].map((unit) => ({
    kind,
    digest,
    unit,
    files: files.filter((file) => file.unit === unit),
    manifests: manifests.map((manifest) => manifest.digest),
    images,
    keptBy: whyKept(context, unit === rootfsUnit ? asCloned(made) : made),
  }))
}

/** Nobody has open what sheds are clones of; and no lower makes up for it. */
function asCloned({ manifests, ...made }: Made): Made {
  return { ...made, manifests: manifests.map((manifest) => ({ ...manifest, runningIn: [], isKept: false })) }
}

function whyKept({ leases }: ImagesContext, { kind, digest, manifests }: Made): string | undefined {
  const sheds = [...new Set(manifests.flatMap(({ runningIn }) => runningIn))].sort()
  if (sheds.length > 0) return `used by running shed ${sheds.join(', ')}`
  const [pinnedAs] = manifests.flatMap((manifest) => manifest.pinnedAs ?? [])
  if (pinnedAs !== undefined) return pinnedReason('image', pinnedAs)
  const held = new Set(leases.heldImages())
  if (leases.isLeased(digest) || manifests.some((manifest) => held.has(manifest.digest))) return inUse
  return cannotBeMade(kind, digest, manifests)
}

/** Of work in flight: nobody else has a name for it. */
export const inUse = 'in use at this moment'

function cannotBeMade(kind: Made['kind'], digest: Digest, manifests: Made['manifests']): string | undefined {
  const needing = manifests.filter((manifest) => !manifest.isKept)
  if (needing.length === 0) return undefined
  const [problem] = needing.flatMap((manifest) => manifest.problem ?? [])
  if (problem !== undefined) return `cannot be built again: ${problem}`
  const layers = manifests.flatMap((manifest) => manifest.layers)
  // One image that brought the layer is enough to have it again; a lower needs every one of its layers.
  if (kind === 'layer') {
    const isHere = layers.some((layer) => layer.diffId === digest && layer.isHere)
    return isHere ? undefined : 'cannot be built again: its layer is not here'
  }
  return layers.every((layer) => layer.isHere) ? undefined : 'cannot be built again: its layers are not here'
}

function undefinedIfProblem(error: unknown): undefined {
  if (!isProblem(error)) throw error
}
