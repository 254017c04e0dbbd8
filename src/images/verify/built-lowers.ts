import { join } from 'node:path'
import type { DataLayout, Digest } from '../../base/index.ts'
import { openStaging, runInWorker } from '../../host/index.ts'
import type { ImagesContext } from '../images-context.ts'
import { readKeptDigest } from '../kept/kept-digest.ts'
import { checkLower } from '../lowers/check-lower.ts'
import { maxTreeBytes } from '../lowers/layer-limits.ts'
import { type LowerKind, lowerKinds, lowerPath, plainWhole } from '../lowers/lower-kind.ts'
import { lowerUuid } from '../lowers/lower-uuid.ts'
import { hasLayerFiles } from '../lowers/unpack-layer.ts'
import { type CachedLayer, cachedLayer } from '../lowers/write-bootstrap.ts'
import type { Watch } from './blob-complaint.ts'
import { bytesOf, smallBytes } from './cached-layers.ts'
import { type CheckLowerFile, checkLowerFile } from './check-lower-file.ts'
import type { Contents } from './contents-of.ts'

/** A lower that is there. */
export interface BuiltLower {
  readonly manifest: Digest
  readonly path: string
  readonly kind: LowerKind
  /** What its uuid must be; undefined when that cannot be known. */
  readonly uuid: Buffer | undefined
  readonly bytes: number
  /** The cached layers that it was put together from; undefined when one of them is not in the cache. */
  readonly parts: readonly CachedLayer[] | undefined
  /** The chunk index that it was published with, if it was. */
  readonly chunks: string | undefined
  /** Of its bytes, if that was written down when its layers went. */
  readonly digest: Digest | undefined
  /** The blobs that it can be made from. */
  readonly sources: readonly Digest[]
  readonly images: ReadonlySet<string>
}

/** The lowers of images, in the cache and outside of it. */
export async function builtLowers({ layout }: ImagesContext, { manifests }: Contents): Promise<BuiltLower[]> {
  const lowers: BuiltLower[] = []
  for (const { descriptor, manifest, config, images } of manifests.values()) {
    const diffIds = config?.diffIds ?? []
    for (const { path, kind, uuid, chunks } of placesOf(layout, descriptor.digest)) {
      const bytes = await bytesOf(path)
      if (bytes === undefined) continue
      const there = await Promise.all(diffIds.map((diffId) => hasLayerFiles(layout, diffId, kind.profile)))
      // Without the data of its layers one in parts is nothing: the next shed has it made again.
      if (kind.form === 'parts' && !there.every(Boolean)) continue
      lowers.push({
        manifest: descriptor.digest,
        path,
        kind,
        uuid,
        bytes,
        parts: there.every(Boolean) ? diffIds.map((diffId) => cachedLayer(layout, diffId, kind.profile)) : undefined,
        chunks: chunks === undefined || (await bytesOf(chunks)) === undefined ? undefined : chunks,
        digest:
          path === layout.keptLower(descriptor.digest) ? await readKeptDigest(layout, descriptor.digest) : undefined,
        sources: [descriptor, manifest.config, ...manifest.layers].map(({ digest }) => digest),
        images,
      })
    }
  }
  return lowers
}

export interface PlaceOfLower extends Pick<BuiltLower, 'path' | 'kind' | 'uuid'> {
  readonly chunks?: string
}

/** Where the lower of a manifest may be. */
export function placesOf(layout: DataLayout, manifest: Digest): PlaceOfLower[] {
  const inCache = lowerKinds.map((kind) => ({
    path: lowerPath(layout, manifest, kind),
    kind,
    uuid: lowerUuid(kind, manifest),
  }))
  const path = layout.keptLower(manifest)
  const kept = checkLower(path)
  const kind = kept.complaint === undefined ? kept.kind : plainWhole
  // One that was kept may be of another version of the writer, which its uuid depends on.
  return [...inCache, { path, kind, uuid: undefined, chunks: layout.keptLowerChunks(manifest) }]
}

interface HowToCheck extends Watch {
  /** Whether its parts are intact, so that it can be held against them. */
  readonly comparable: boolean
}

/** @returns what is wrong with a lower, or undefined @throws Problem CANCELLED */
export async function lowerComplaint(
  { layout }: ImagesContext,
  { manifest, path, kind, uuid, bytes, parts, chunks, digest }: Omit<BuiltLower, 'sources' | 'images'>,
  { comparable, onBytes, signal }: HowToCheck,
): Promise<string | undefined> {
  const { complaint } = checkLower(path, uuid)
  if (complaint !== undefined) return complaint
  await using staging = await openStaging(layout, 'verify')
  const input: CheckLowerFile = {
    path,
    ...kind,
    uuid: uuid ?? lowerUuid(kind, manifest),
    layers: comparable ? parts : undefined,
    chunks,
    digest,
    scratch: join(staging.path, 'bootstrap'),
  }
  if (bytes <= smallBytes) return checkLowerFile(input, onBytes)
  return await runInWorker<string | undefined>({
    name: 'check-lower-file-worker',
    module: new URL('./check-lower-file-worker.ts', import.meta.url),
    input,
    maxHeapBytes: maxTreeBytes,
    onMessage: (bytes) => onBytes(Number(bytes)),
    ...(signal && { signal }),
  })
}
