import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type DataLayout, type Digest, Problem, shortDigest } from '../../base/index.ts'
import { fillFile, installFile, openStaging, runInWorker } from '../../host/index.ts'
import { sizeOrZero, unpackLayers } from '../lowers/ensure-lower.ts'
import { type Crew, Flights, type Passenger } from '../lowers/flights.ts'
import { rebuildingDamaged } from '../lowers/rebuilding-damaged.ts'
import type { LayerBlob } from '../lowers/unpack-layer.ts'
import { cachedLayer } from '../lowers/write-bootstrap.ts'
import { findRootfs, type RootfsImage, soundBytes } from './find-rootfs.ts'
import { rootfsIdentity } from './rootfs-identity.ts'
import { type WriteRootfs, type WrittenRootfs, writeRootfs } from './write-rootfs.ts'

export interface EnsureRootfs extends Passenger {
  readonly layout: DataLayout
  readonly manifest: Digest
  /** Of the manifest, from the bottom to the top. */
  readonly layers: readonly LayerBlob[]
}

const flights = new Flights<RootfsImage>()

/**
 * Makes sure that a manifest's root filesystem is there as an ext4, for sheds to be cloned from. Same manifest, same bytes, on every host; built
 * once, however many ask at the same time. It shares the extents of the layers' data where the filesystem can, so that it adds its metadata and its small files.
 *
 * Progress: the phase `unpack` for each layer that is not in the cache, in compressed bytes; then `rootfs`, in bytes of file content.
 * @throws Problem as unpackLayer does; LAYER_INVALID, LIMIT_EXCEEDED, EXT4_INVALID for what the layers say; CANCELLED. Then there is no such
 *   file, and nothing is left of the attempt but layers that were unpacked whole
 */
export async function ensureRootfs(options: EnsureRootfs): Promise<RootfsImage> {
  const { layout, manifest } = options
  const present = findRootfs(layout, manifest)
  if (present !== undefined) return present
  return await flights.join(layout.rootfsImage(manifest), options, (crew) => build({ ...options, ...crew }))
}

interface Build extends EnsureRootfs, Crew {
  readonly onProgress: Crew['onProgress']
  readonly signal: AbortSignal
}

async function build(options: Build): Promise<RootfsImage> {
  const { layout, manifest } = options
  const path = layout.rootfsImage(manifest)
  // Uncompressed, so that what is copied from them is what a guest reads.
  const work = { ...options, profile: 'plain' as const }
  await unpackLayers(work)
  await using staging = await openStaging(layout, `rootfs-${shortDigest(manifest)}`)
  const written = await rebuildingDamaged(work, () => runWriter(options, join(staging.path, 'rootfs')))
  const staged = join(staging.path, 'rootfs')
  await fill(options, written, staged)
  if (soundBytes(staged, manifest) !== written.bytes) {
    throw new Problem('INTERNAL', 'the root filesystem that was built is not usable')
  }
  await mkdir(dirname(path), { recursive: true })
  await installFile({ from: staged, to: path, mode: 0o444 })
  return { path, bytes: written.bytes, outcome: 'built', warnings: written.warnings }
}

/** Of all layer indexes together: a few hundred entries. */
const smallIndexBytes = 64 * 1024

/** On a thread of its own, unless there is so little to do that starting one would cost more. */
async function runWriter({ layout, layers, manifest, signal }: Build, to: string): Promise<WrittenRootfs> {
  const cached = layers.map(({ diffId }) => cachedLayer(layout, diffId, 'plain'))
  const input: WriteRootfs = { layers: cached, ...rootfsIdentity(manifest), to }
  const sizes = await Promise.all(cached.map(({ indexPath }) => sizeOrZero(indexPath)))
  if (sizes.reduce((sum, size) => sum + size, 0) <= smallIndexBytes) return writeRootfs(input)
  const module = new URL('./write-rootfs-worker.ts', import.meta.url)
  return await runInWorker<WrittenRootfs>({ name: 'write-rootfs-worker', module, input, signal })
}

async function fill({ manifest, onProgress, signal }: Build, { parts }: WrittenRootfs, staged: string): Promise<void> {
  const total = parts.reduce((sum, { length }) => sum + length, 0)
  const report = (done: number) => onProgress({ phase: 'rootfs', item: shortDigest(manifest), done, total })
  report(0)
  await fillFile(staged, parts, { onProgress: report, signal })
  if (signal.aborted) throw new Problem('CANCELLED', 'it was stopped on request')
  report(total)
}
