import { basename, dirname } from 'node:path'
import { type DataLayout, type Digest, isDigest } from '../../base/index.ts'

/** A file of an image that boots here but cannot be made again here, because the layers that it came from are not here. */
export interface KeptFile {
  readonly kind: 'lower'
  /** Of the manifest. */
  readonly digest: Digest
  readonly path: string
}

/** Every file that an image without its layers has besides its blobs, whether it is there or not; the lower, which makes them count, first. */
export function keptFiles(layout: DataLayout, manifest: Digest): KeptFile[] {
  const { keptLower, keptLowerRecord, keptLowerChunks, keptLowerDigest } = layout
  const paths = [keptLower, keptLowerRecord, keptLowerChunks, keptLowerDigest].map((pathOf) => pathOf(manifest))
  return paths.map((path) => ({ kind: 'lower', digest: manifest, path }))
}

/** What a path of `lowers/` holds, by its name. */
export function keptFileAt(layout: DataLayout, path: string): KeptFile | undefined {
  if (dirname(path) !== layout.keptLowers) return undefined
  const [hex] = basename(path).split('.')
  const digest = `sha256:${hex}`
  return isDigest(digest) ? keptFiles(layout, digest).find((file) => file.path === path) : undefined
}
