import { join } from 'node:path'
import type { Digest } from '../../base/index.ts'
import { openStaging, runInWorker } from '../../host/index.ts'
import type { ImagesContext } from '../images-context.ts'
import { maxTreeBytes } from '../lowers/layer-limits.ts'
import { hasLayerFiles } from '../lowers/unpack-layer.ts'
import { type CachedLayer, cachedLayer } from '../lowers/write-bootstrap.ts'
import { soundBytes } from '../rootfs/find-rootfs.ts'
import { rootfsIdentity } from '../rootfs/rootfs-identity.ts'
import type { Watch } from './blob-complaint.ts'
import { bytesOf } from './cached-layers.ts'
import type { CheckRootfsFile } from './check-rootfs-file.ts'
import type { Contents } from './contents-of.ts'

/** The ext4 that sheds of an image are cloned from, when it is there. */
export interface BuiltRootfs {
  readonly manifest: Digest
  readonly path: string
  readonly bytes: number
  /** The cached layers that it is made of; undefined when one of them is not in the cache. */
  readonly parts: readonly CachedLayer[] | undefined
  /** The blobs that it can be made from. */
  readonly sources: readonly Digest[]
  readonly images: ReadonlySet<string>
}

export async function builtRootfs({ layout }: ImagesContext, { manifests }: Contents): Promise<BuiltRootfs[]> {
  const all: BuiltRootfs[] = []
  for (const { descriptor, manifest, config, images } of manifests.values()) {
    const path = layout.rootfsImage(descriptor.digest)
    const bytes = await bytesOf(path)
    if (bytes === undefined) continue
    const diffIds = config?.diffIds ?? []
    const there = await Promise.all(diffIds.map((diffId) => hasLayerFiles(layout, diffId)))
    const parts = there.every(Boolean) ? diffIds.map((diffId) => cachedLayer(layout, diffId, 'plain')) : undefined
    const sources = [descriptor, manifest.config, ...manifest.layers].map(({ digest }) => digest)
    all.push({ manifest: descriptor.digest, path, bytes, parts, sources, images })
  }
  return all
}

interface HowToCheck extends Watch {
  /** Whether its layers are intact, so that it can be held against them. */
  readonly comparable: boolean
}

/** @returns what is wrong with a root filesystem, or undefined @throws Problem CANCELLED */
export async function rootfsComplaint(
  { layout }: ImagesContext,
  { manifest, path, parts }: BuiltRootfs,
  { comparable, onBytes, signal }: HowToCheck,
): Promise<string | undefined> {
  if (soundBytes(path, manifest) === undefined) return 'its superblock is damaged, or it is not whole'
  if (parts === undefined || !comparable) return undefined
  await using staging = await openStaging(layout, 'verify')
  const input: CheckRootfsFile = { path, layers: parts, ...rootfsIdentity(manifest), to: join(staging.path, 'rootfs') }
  return await runInWorker<string | undefined>({
    name: 'check-rootfs-file-worker',
    module: new URL('./check-rootfs-file-worker.ts', import.meta.url),
    input,
    maxHeapBytes: maxTreeBytes,
    onMessage: (count) => onBytes(Number(count)),
    ...(signal && { signal }),
  })
}
