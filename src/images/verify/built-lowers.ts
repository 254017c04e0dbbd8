import { join } from 'node:path'
import type { DataLayout, Digest } from '../../base/index.ts'
import { openStaging, runInWorker } from '../../host/index.ts'
import type { ImagesContext } from '../images-context.ts'
import { checkLower } from '../lowers/check-lower.ts'
import { lowerUuid } from '../lowers/lower-uuid.ts'
import { hasLayerFiles } from '../lowers/unpack-layer.ts'
import type { CachedLayer } from '../lowers/write-bootstrap.ts'
import type { Watch } from './blob-complaint.ts'
import { bytesOf, smallBytes } from './cached-layers.ts'
import { type CheckLowerFile, checkLowerFile } from './check-lower-file.ts'
import type { Contents } from './contents-of.ts'

/** A lower that is there. */
export interface BuiltLower {
  readonly manifest: Digest
  readonly path: string
  readonly bytes: number
  /** The cached layers that it was put together from; undefined when one of them is not in the cache. */
  readonly parts: readonly CachedLayer[] | undefined
  /** The chunk index that it was published with, if it was. */
  readonly chunks: string | undefined
  /** The blobs that it can be made from. */
  readonly sources: readonly Digest[]
  readonly images: ReadonlySet<string>
}

/** The lowers of images, in the cache and outside of it. */
export async function builtLowers({ layout }: ImagesContext, { manifests }: Contents): Promise<BuiltLower[]> {
  const lowers: BuiltLower[] = []
  for (const { descriptor, manifest, config, images } of manifests.values()) {
    const parts = (config?.diffIds ?? []).map((diffId) => ({
      diffId,
      indexPath: layout.layerIndex(diffId),
      dataPath: layout.layerData(diffId),
    }))
    const there = await Promise.all(parts.map(({ diffId }) => hasLayerFiles(layout, diffId)))
    for (const { path, chunks } of placesOf(layout, descriptor.digest)) {
      const bytes = await bytesOf(path)
      if (bytes === undefined) continue
      lowers.push({
        manifest: descriptor.digest,
        path,
        bytes,
        parts: there.every(Boolean) ? parts : undefined,
        chunks: chunks === undefined || (await bytesOf(chunks)) === undefined ? undefined : chunks,
        sources: [descriptor, manifest.config, ...manifest.layers].map(({ digest }) => digest),
        images,
      })
    }
  }
  return lowers
}

function placesOf(layout: DataLayout, manifest: Digest): { path: string; chunks?: string }[] {
  return [
    { path: layout.lower('plain', manifest) },
    { path: layout.keptLower(manifest), chunks: layout.keptLowerChunks(manifest) },
  ]
}

interface HowToCheck extends Watch {
  /** Whether its parts are intact, so that it can be held against them. */
  readonly comparable: boolean
}

/** @returns what is wrong with a lower, or undefined @throws Problem CANCELLED */
export async function lowerComplaint(
  { layout }: ImagesContext,
  { manifest, path, bytes, parts, chunks }: BuiltLower,
  { comparable, onBytes, signal }: HowToCheck,
): Promise<string | undefined> {
  const uuid = lowerUuid('plain', manifest)
  // One that was kept may be of another version of the writer, which its uuid depends on.
  const { complaint } = checkLower(path, path === layout.lower('plain', manifest) ? uuid : undefined)
  if (complaint !== undefined) return complaint
  await using staging = await openStaging(layout, 'verify')
  const input: CheckLowerFile = {
    path,
    uuid,
    layers: comparable ? parts : undefined,
    chunks,
    scratch: join(staging.path, 'bootstrap'),
  }
  if (bytes <= smallBytes) return checkLowerFile(input, onBytes)
  return await runInWorker<string | undefined>({
    name: 'check-lower-file-worker',
    module: new URL('./check-lower-file-worker.ts', import.meta.url),
    input,
    onMessage: (bytes) => onBytes(Number(bytes)),
    ...(signal && { signal }),
  })
}
