import { mkdir, stat } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { type DataLayout, type Digest, digestAlgorithm, Problem, shortDigest } from '../../base/index.ts'
import { assembleFile, installFile, openStaging, runInWorker } from '../../host/index.ts'
import { checkLower } from './check-lower.ts'
import { type Crew, Flights, type Passenger } from './flights.ts'
import { forEachAtOnce } from './for-each-at-once.ts'
import { maxTreeBytes } from './layer-limits.ts'
import { type LowerKind, lowerPath, plainWhole } from './lower-kind.ts'
import { type LowerPart, lowerParts } from './lower-parts.ts'
import { lowerUuid } from './lower-uuid.ts'
import { type LayerWork, rebuildingDamaged } from './rebuilding-damaged.ts'
import { type LayerBlob, unpackLayer } from './unpack-layer.ts'
import { cachedLayer, type WriteBootstrap, type WrittenBootstrap, writeBootstrap } from './write-bootstrap.ts'

export interface EnsureLower extends Passenger {
  readonly layout: DataLayout
  readonly manifest: Digest
  /** Of the manifest, from the bottom to the top. */
  readonly layers: readonly LayerBlob[]
  /** Plain and whole unless told. */
  readonly kind?: LowerKind
  /** How many layers are unpacked at the same time; the bytes do not depend on it. */
  readonly workers?: number
}

export interface Lower {
  readonly kind: LowerKind
  readonly path: string
  /** Data blobs that belong to it, each a device of its own, in their order; none when it is whole. */
  readonly parts: readonly LowerPart[]
  /** Of the lower with its parts. */
  readonly bytes: number
  readonly outcome: 'built' | 'present'
  /** What was dropped from the image or is odd about it, for people; empty when it was present. */
  readonly warnings: readonly string[]
}

/**
 * The most drives that a lower in parts takes. A microvm has places for 24 devices, of which a shed needs 5, and leaves some to volumes; and the table of
 * devices must fit the first block.
 */
export const maxLowerParts = 12

/** More threads than this would take more memory than they save time: each holds buffers and a heap of its own. */
const maxWorkers = 4

/** Of all layer indexes together: a few hundred entries. */
const smallIndexBytes = 64 * 1024

const flights = new Flights<Lower>()

/**
 * Makes sure that a manifest's lower is there: one erofs image of all its layers, which every shed of the image reads from. Same manifest,
 * same bytes, on every host; built once, however many ask at the same time.
 *
 * Progress: the phase `unpack` for each layer that is not in the cache, in compressed bytes; then `lower`, in bytes of the lower.
 * @throws Problem as unpackLayer does; LAYER_INVALID, LIMIT_EXCEEDED for what the layers say; CANCELLED. Then there is no lower, and nothing is
 *   left of the attempt but layers that were unpacked whole
 */
export async function ensureLower(options: EnsureLower): Promise<Lower> {
  const { layout, manifest, kind = plainWhole } = options
  const present = findLower(layout, manifest, [kind])
  if (present !== undefined) return present
  const path = lowerPath(layout, manifest, kind)
  return await flights.join(path, options, (crew) => build({ ...options, ...crew, kind }))
}

/**
 * Makes the parts of a lower without putting them together: the layers' data blobs in the cache, and the bootstrap in `to`, a file that does
 * not exist yet.
 *
 * @throws Problem as ensureLower does
 */
export async function writeLowerParts(options: EnsureLower & { readonly to: string }): Promise<WrittenBootstrap> {
  const { kind = plainWhole, to, onProgress = () => {}, signal = new AbortController().signal } = options
  const build = { ...options, kind, onProgress, signal }
  await unpackLayers({ ...build, profile: kind.profile })
  return await bootstrapOf(build, to)
}

/** A lower of a manifest that is there, and whole as far as its first block tells: the first of these kinds. */
export function findLower(
  layout: DataLayout,
  manifest: Digest,
  kinds: readonly LowerKind[] = [plainWhole],
): Lower | undefined {
  for (const kind of kinds) {
    const path = lowerPath(layout, manifest, kind)
    const checked = checkLower(path, lowerUuid(kind, manifest))
    const parts = checked.complaint === undefined ? lowerParts(layout, kind, checked.devices) : undefined
    if (checked.complaint !== undefined || parts === undefined) continue
    const bytes = parts.reduce((sum, part) => sum + part.bytes, checked.bytes)
    return { kind, path, parts, bytes, outcome: 'present', warnings: [] }
  }
  return undefined
}

interface Build extends EnsureLower, Crew {
  readonly onProgress: Crew['onProgress']
  readonly signal: AbortSignal
  readonly kind: LowerKind
}

async function build(options: Build): Promise<Lower> {
  const { layout, manifest, kind } = options
  await unpackLayers({ ...options, profile: kind.profile })
  await using staging = await openStaging(layout, `lower-${shortDigest(manifest)}`)
  const head = join(staging.path, 'bootstrap')
  const bootstrap = await bootstrapOf(options, head)
  if (kind.form === 'parts' && !canBeParts(options, bootstrap)) {
    const whole = { ...kind, form: 'whole' as const }
    return findLower(layout, manifest, [whole]) ?? (await build({ ...options, kind: whole }))
  }
  const staged = kind.form === 'whole' ? join(staging.path, 'lower') : head
  if (kind.form === 'whole') await assemble(options, bootstrap, { staged, head })
  const parts = checkBuilt(options, staged)
  const path = lowerPath(layout, manifest, kind)
  await mkdir(dirname(path), { recursive: true })
  await installFile({ from: staged, to: path, mode: 0o444 })
  return { kind, path, parts, bytes: bootstrap.totalBytes, outcome: 'built', warnings: bootstrap.warnings }
}

/** A tag of 64 letters has no room for a longer diff_id than sha256's. */
function canBeParts({ layers }: Build, { blobs }: WrittenBootstrap): boolean {
  return blobs.length <= maxLowerParts && layers.every(({ diffId }) => digestAlgorithm(diffId) === 'sha256')
}

/** Looks at what was built once more before anybody else can. */
function checkBuilt({ layout, manifest, kind, signal }: Build, path: string): readonly LowerPart[] {
  const checked = checkLower(path, lowerUuid(kind, manifest))
  if (checked.complaint !== undefined)
    throw new Problem('INTERNAL', `the lower that was built is not usable: ${checked.complaint}`)
  const parts = lowerParts(layout, kind, checked.devices)
  if (parts === undefined) throw new Problem('INTERNAL', 'the lower that was built has lost the data of a layer')
  if (signal.aborted) throw new Problem('CANCELLED', 'it was stopped on request')
  return parts
}

/** The largest first, so that no thread is left alone with it at the end. */
export async function unpackLayers(options: LayerWork): Promise<void> {
  const { layers, profile, workers = availableParallelism() } = options
  const distinct = new Map(layers.map((layer) => [layer.diffId, layer]))
  const sized = await Promise.all(
    [...distinct.values()].map(async (layer) => ({ layer, bytes: await sizeOrZero(layer.path) })),
  )
  sized.sort((a, b) => b.bytes - a.bytes)
  await forEachAtOnce(sized, Math.min(workers, maxWorkers), async ({ layer }) => {
    await unpackLayer({ ...options, ...layer, profile })
  })
}

async function bootstrapOf(options: Build, to: string): Promise<WrittenBootstrap> {
  const work = { ...options, profile: options.kind.profile }
  return await rebuildingDamaged(work, () => runBootstrap(options, to))
}

/** On a thread of its own, unless there is so little to do that starting one would cost more. */
async function runBootstrap({ layout, layers, manifest, kind, signal }: Build, to: string): Promise<WrittenBootstrap> {
  const cached = layers.map(({ diffId }) => cachedLayer(layout, diffId, kind.profile))
  const input: WriteBootstrap = { layers: cached, uuid: lowerUuid(kind, manifest), ...kind, to }
  const sizes = await Promise.all(
    cached
      .flatMap(({ indexPath, mapPath }) => (mapPath === undefined ? [indexPath] : [indexPath, mapPath]))
      .map(sizeOrZero),
  )
  if (sizes.reduce((sum, size) => sum + size, 0) <= smallIndexBytes) return writeBootstrap(input)
  const module = new URL('./write-bootstrap-worker.ts', import.meta.url)
  return await runInWorker<WrittenBootstrap>({
    name: 'write-bootstrap-worker',
    module,
    input,
    signal,
    maxHeapBytes: maxTreeBytes,
  })
}

/** Puts bootstrap and data together: their extents are shared where the filesystem can, elsewhere they are copied. */
async function assemble(
  { manifest, onProgress }: Build,
  { bytes, blobs, totalBytes }: WrittenBootstrap,
  { head, staged }: { readonly head: string; readonly staged: string },
): Promise<void> {
  const report = (done: number) => onProgress({ phase: 'lower', item: shortDigest(manifest), done, total: totalBytes })
  report(0)
  const parts = [{ path: head, bytes }, ...blobs].map((part) => ({ path: part.path, offset: 0, length: part.bytes }))
  await assembleFile(staged, parts)
  report(totalBytes)
}

/** For the order only: that a file is missing is said where it is read. */
export async function sizeOrZero(path: string): Promise<number> {
  return await stat(path).then(
    ({ size }) => size,
    () => 0,
  )
}
