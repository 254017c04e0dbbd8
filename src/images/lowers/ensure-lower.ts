import { mkdir, stat } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { type DataLayout, type Digest, isProblem, type LowerProfile, Problem, shortDigest } from '../../base/index.ts'
import { assembleFile, installFile, openStaging, runInWorker } from '../../host/index.ts'
import { checkLower } from './check-lower.ts'
import { type Crew, Flights, type Passenger } from './flights.ts'
import { forEachAtOnce } from './for-each-at-once.ts'
import { lowerUuid } from './lower-uuid.ts'
import { type LayerBlob, rebuildLayer, unpackLayer } from './unpack-layer.ts'
import { type WriteBootstrap, type WrittenBootstrap, writeBootstrap } from './write-bootstrap.ts'

export interface EnsureLower extends Passenger {
  readonly layout: DataLayout
  readonly manifest: Digest
  /** Of the manifest, from the bottom to the top. */
  readonly layers: readonly LayerBlob[]
  readonly profile?: LowerProfile
  /** How many layers are unpacked at the same time; the bytes do not depend on it. */
  readonly workers?: number
}

export interface Lower {
  readonly path: string
  readonly bytes: number
  readonly outcome: 'built' | 'present'
  /** What was dropped from the image or is odd about it, for people; empty when it was present. */
  readonly warnings: readonly string[]
}

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
  const { layout, manifest, profile = 'plain' } = options
  const present = await findLower(layout, manifest, profile)
  if (present !== undefined) return present
  const path = layout.lower(profile, manifest)
  const uuid = lowerUuid(profile, manifest)
  return await flights.join(path, options, (crew) => build({ ...options, ...crew, path, uuid }))
}

/**
 * Makes the parts of a lower without putting them together: the layers' data blobs in the cache, and the bootstrap in `to`, a file that does
 * not exist yet.
 *
 * @throws Problem as ensureLower does
 */
export async function writeLowerParts(options: EnsureLower & { readonly to: string }): Promise<WrittenBootstrap> {
  const { manifest, profile = 'plain', to, onProgress = () => {}, signal = new AbortController().signal } = options
  const build = { ...options, onProgress, signal, uuid: lowerUuid(profile, manifest) }
  await unpackLayers(build)
  return await bootstrapOf(build, to)
}

/** The lower of a manifest, when it is there and whole as far as its first block tells. */
export async function findLower(
  layout: DataLayout,
  manifest: Digest,
  profile: LowerProfile = 'plain',
): Promise<Lower | undefined> {
  const path = layout.lower(profile, manifest)
  const checked = checkLower(path, lowerUuid(profile, manifest))
  if (checked.complaint !== undefined) return undefined
  return { path, bytes: checked.bytes, outcome: 'present', warnings: [] }
}

interface WriteParts extends EnsureLower, Crew {
  readonly onProgress: Crew['onProgress']
  readonly signal: AbortSignal
  readonly uuid: Buffer
}

interface Build extends WriteParts {
  readonly path: string
}

async function build(options: Build): Promise<Lower> {
  const { layout, manifest, path } = options
  await unpackLayers(options)
  await using staging = await openStaging(layout, `lower-${shortDigest(manifest)}`)
  const bootstrap = await bootstrapOf(options, join(staging.path, 'bootstrap'))
  const staged = join(staging.path, 'lower')
  await assemble(options, bootstrap, { staged, head: join(staging.path, 'bootstrap') })
  await mkdir(dirname(path), { recursive: true })
  await installFile({ from: staged, to: path, mode: 0o444 })
  return { path, bytes: bootstrap.totalBytes, outcome: 'built', warnings: bootstrap.warnings }
}

/** The largest first, so that no thread is left alone with it at the end. */
async function unpackLayers({ layers, workers = availableParallelism(), ...options }: WriteParts): Promise<void> {
  const distinct = new Map(layers.map((layer) => [layer.diffId, layer]))
  const sized = await Promise.all(
    [...distinct.values()].map(async (layer) => ({ layer, bytes: await sizeOrZero(layer.path) })),
  )
  sized.sort((a, b) => b.bytes - a.bytes)
  await forEachAtOnce(sized, Math.min(workers, maxWorkers), async ({ layer }) => {
    await unpackLayer({ ...options, ...layer })
  })
}

/**
 * The bootstrap follows from the cached layers. Disks rot and people tidy up: a layer whose files are not what they should be is
 * unpacked again, each at most once.
 */
async function bootstrapOf(options: WriteParts, to: string): Promise<WrittenBootstrap> {
  const rebuilt = new Set<unknown>()
  for (;;) {
    try {
      return await runBootstrap(options, to)
    } catch (error) {
      const diffId = isProblem(error) ? error.data?.damaged : undefined
      const layer = options.layers.find((candidate) => candidate.diffId === diffId)
      if (layer === undefined || rebuilt.has(diffId)) throw error
      rebuilt.add(diffId)
      await rebuildLayer({ ...options, ...layer })
    }
  }
}

/** On a thread of its own, unless there is so little to do that starting one would cost more. */
async function runBootstrap({ layout, layers, uuid, signal }: WriteParts, to: string): Promise<WrittenBootstrap> {
  const cached = layers.map(({ diffId }) => ({
    diffId,
    indexPath: layout.layerIndex(diffId),
    dataPath: layout.layerData(diffId),
  }))
  const input: WriteBootstrap = { layers: cached, uuid, to }
  const sizes = await Promise.all(cached.map(({ indexPath }) => sizeOrZero(indexPath)))
  if (sizes.reduce((sum, size) => sum + size, 0) <= smallIndexBytes) return writeBootstrap(input)
  const module = new URL('./write-bootstrap-worker.ts', import.meta.url)
  return await runInWorker<WrittenBootstrap>({ name: 'write-bootstrap-worker', module, input, signal })
}

/** Puts the parts together and looks at the result once more before anybody else can. */
async function assemble(
  { manifest, uuid, onProgress, signal }: Build,
  { bytes, blobs, totalBytes }: WrittenBootstrap,
  { head, staged }: { readonly head: string; readonly staged: string },
): Promise<void> {
  const report = (done: number) => onProgress({ phase: 'lower', item: shortDigest(manifest), done, total: totalBytes })
  report(0)
  const parts = [{ path: head, bytes }, ...blobs].map((part) => ({ path: part.path, offset: 0, length: part.bytes }))
  await assembleFile(staged, parts)
  const { complaint } = checkLower(staged, uuid)
  if (complaint !== undefined) throw new Problem('INTERNAL', `the lower that was built is not usable: ${complaint}`)
  if (signal.aborted) throw new Problem('CANCELLED', 'it was stopped on request')
  report(totalBytes)
}

/** For the order only: that a file is missing is said where it is read. */
async function sizeOrZero(path: string): Promise<number> {
  return await stat(path).then(
    ({ size }) => size,
    () => 0,
  )
}
