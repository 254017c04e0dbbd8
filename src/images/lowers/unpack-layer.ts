import { mkdir, stat } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import {
  type DataLayout,
  type Digest,
  errnoCode,
  isProblem,
  type LowerProfile,
  type OnProgress,
  problemFromSystem,
  shortDigest,
} from '../../base/index.ts'
import { installFile, openStaging, runInWorker } from '../../host/index.ts'
import { Flights } from './flights.ts'
import { ThreadShares } from './thread-shares.ts'
import { type LayerFiles, type WriteLayerFiles, writeLayerFiles } from './write-layer-files.ts'

export interface LayerBlob {
  /** Of the uncompressed tar, from the image's config. */
  readonly diffId: Digest
  /** Where the layer is stored, compressed or not. */
  readonly path: string
  /** Of a layer that is still being downloaded: it is unpacked as it comes. */
  readonly growing?: WriteLayerFiles['growing']
}

export interface UnpackLayer extends LayerBlob {
  readonly layout: DataLayout
  /** Of the data blob; `plain` unless told. */
  readonly profile?: LowerProfile | undefined
  /** Hears of the phase `unpack` in compressed bytes. */
  readonly onProgress?: OnProgress
  readonly signal?: AbortSignal
}

export type UnpackOutcome = 'built' | 'present'

/** Compressed. A thread costs about 45 ms of processor time before it does anything. */
const smallLayerBytes = 256 * 1024
/** The same. From here on others help to compress it. */
const largeLayerBytes = 8 * 2 ** 20
/** More would take more memory than they save time: each has some 20 MB on its way. */
const shares = new ThreadShares(Math.min(4, availableParallelism()))

/** Layers come several at a time, and images one after the other. */
const keptMs = 30_000

const flights = new Flights<UnpackOutcome>()

/** How often a layer is tried again whose source went away under somebody else. */
const maxAttempts = 5

/**
 * Makes sure that a layer's data blob and index are in the cache. They depend on the layer alone, so every image that has it shares them; a
 * layer is decompressed once, however many ask at the same time. The work happens on a thread of its own.
 *
 * It is the first of those who ask whose file is read, from staging or as it is downloaded. When that one is given up its file goes, and the
 * others try again with their own.
 *
 * @throws Problem DIGEST_MISMATCH, COMPRESSION_INVALID, TAR_INVALID, LIMIT_EXCEEDED, NO_SPACE, FILE_NOT_FOUND, CANCELLED; nothing is left
 *   behind then
 */
export async function unpackLayer(options: UnpackLayer): Promise<UnpackOutcome> {
  for (let attempt = 1; ; attempt++) {
    if (await hasLayerFiles(options.layout, options.diffId, options.profile)) return 'present'
    try {
      return await rebuildLayer(options)
    } catch (error) {
      const isAnothers = isProblem(error, 'FILE_NOT_FOUND') && options.growing === undefined
      if (!isAnothers || attempt === maxAttempts || !(await isFile(options.path))) throw error
    }
  }
}

/** The same whether the cache has it or not: for entries that turned out to be damaged. */
export function rebuildLayer({ onProgress, signal, ...layer }: UnpackLayer): Promise<UnpackOutcome> {
  return flights.join(layer.layout.layerData(layer.diffId, layer.profile), { onProgress, signal }, (crew) =>
    unpack({ ...layer, ...crew }),
  )
}

/**
 * Whether all files of a layer are there that a profile needs; what is in them is looked at when they are used. What comes last would not do: the index
 * is there for another profile already.
 */
export async function hasLayerFiles(
  layout: DataLayout,
  diffId: Digest,
  profile: LowerProfile = 'plain',
): Promise<boolean> {
  for (const path of layerPaths(layout, diffId, profile)) if (!(await isFile(path))) return false
  return true
}

/** In the order in which they are installed. */
function layerPaths(layout: DataLayout, diffId: Digest, profile: LowerProfile): string[] {
  const data = layout.layerData(diffId, profile)
  const index = layout.layerIndex(diffId)
  return profile === 'plain' ? [data, index] : [data, layout.layerMap(diffId, profile), index]
}

async function unpack(options: UnpackLayer): Promise<UnpackOutcome> {
  const { layout, diffId, path, growing, profile = 'plain', onProgress, signal } = options
  const item = shortDigest(diffId)
  const total = growing?.size ?? (await sizeOf(path))
  await using staging = await openStaging(layout, `layer-${item}`)
  const input: WriteLayerFiles = {
    blobPath: path,
    growing,
    diffId,
    profile,
    dataPath: join(staging.path, 'data'),
    mapPath: join(staging.path, 'map'),
    indexPath: join(staging.path, 'index'),
  }
  onProgress?.({ phase: 'unpack', item, done: 0, total })
  await writeFiles(input, { total, signal, onRead: (done) => onProgress?.({ phase: 'unpack', item, done, total }) })
  await mkdir(layout.layers, { recursive: true })
  // Map and index are what makes a layer visible, so they come when the data is durable.
  for (const to of layerPaths(layout, diffId, profile)) {
    await installFile({ from: join(staging.path, to.slice(to.lastIndexOf('.') + 1)), to, mode: 0o444 })
  }
  return 'built'
}

interface HowToWrite {
  readonly total: number
  readonly onRead: (bytes: number) => void
  readonly signal: AbortSignal | undefined
}

/** On a thread of its own, unless the layer is so small that starting one would cost more than the work. */
async function writeFiles(input: WriteLayerFiles, { total, onRead, signal }: HowToWrite): Promise<void> {
  if (total <= smallLayerBytes) {
    await writeLayerFiles(input, { onRead, ...(signal && { signal }) })
    return
  }
  using share = shares.take(total)
  const threads = total < largeLayerBytes || input.profile === 'plain' ? 0 : share.threads - 1
  await runInWorker<LayerFiles>({
    name: 'unpack-layer-worker',
    module: new URL('./unpack-layer-worker.ts', import.meta.url),
    input: { ...input, threads },
    onMessage: (bytes) => onRead(Number(bytes)),
    keepMs: keptMs,
    ...(signal && { signal }),
  })
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch (error) {
    throw problemFromSystem(error, `read the layer ${path}`)
  }
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile()
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return false
    throw problemFromSystem(error, `look at ${path}`)
  }
}
