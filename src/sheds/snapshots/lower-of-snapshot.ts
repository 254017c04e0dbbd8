import { existsSync } from 'node:fs'
import { type DataLayout, type Digest, isDigest } from '../../base/index.ts'
import type { Snapshot, SnapshotDetail } from '../../contract/index.ts'
import { derivedFiles, keptFiles } from '../../images/index.ts'

type Lower = Pick<SnapshotDetail, 'lower' | 'lower_hint'>

/** Whether what the disk of a snapshot lies over is on this host. */
export function lowerOfSnapshot(
  layout: DataLayout,
  { status, rootfs, image }: Pick<Snapshot, 'status' | 'rootfs' | 'image'>,
): Lower {
  const { ref, manifest_digest: manifest } = image
  if (status === 'broken' || rootfs === 'ext4' || !isDigest(manifest)) return { lower: 'not needed' }
  if (hasLower(layout, manifest)) return { lower: 'here' }
  if (existsSync(layout.blob(manifest))) return { lower: 'to be made' }
  return { lower: 'missing', lower_hint: `cowshed image pull ${ref.replace(/@.*$/, '')}@${manifest}` }
}

/** Whether anything of an image is here that could be kept for whoever is pinned to it. */
export function isImageHere(layout: DataLayout, manifest: Digest): boolean {
  return existsSync(layout.blob(manifest)) || hasLower(layout, manifest)
}

function hasLower(layout: DataLayout, manifest: Digest): boolean {
  const files = [...derivedFiles(layout, 'lower', manifest), ...keptFiles(layout, manifest)]
  return files.some(({ path }) => existsSync(path))
}
