import { randomBytes } from 'node:crypto'
import { type Digest, digestOf } from '../../src/base/index.ts'
import { platformOf } from '../../src/formats/index.ts'
import type { BuiltRoot } from './image-builder.ts'

export interface PushedErofs extends BuiltRoot {
  /** Of the erofs image. */
  readonly blob: Digest
}

export interface PlainErofsOptions {
  readonly mediaType?: string
  /** Say in an annotation which layer it is. */
  readonly annotated?: boolean
  /** Further layers before it: of its own type, or of another when it is annotated. */
  readonly layers?: number
  /** What its image config says of running a program; left out, it has none. */
  readonly runs?: { readonly Env?: string[]; readonly WorkingDir?: string; readonly User?: string }
}

const erofs = 'application/vnd.erofs'

/** An image as those publish it who have a lower and no chunk index: a manifest whose layer is one erofs image. */
export function plainErofsImage(lower: Buffer, options: PlainErofsOptions = {}): PushedErofs {
  const { mediaType = erofs, annotated = false, layers = 0, runs } = options
  const blobs = new Map<string, Buffer>()
  const add = (bytes: Buffer, type: string) => {
    const digest = digestOf(bytes)
    blobs.set(digest, bytes)
    return { mediaType: type, digest, size: bytes.length }
  }
  const others = Array.from({ length: layers }, () => add(randomBytes(4096), mediaType))
  const blob = add(lower, mediaType)
  const configOf = (config: object) => {
    const platform = { os: 'linux', architecture: platformOf(process.arch).architecture }
    const document = { ...platform, config, rootfs: { type: 'layers', diff_ids: [blob.digest] } }
    return add(Buffer.from(JSON.stringify(document)), 'application/vnd.oci.image.config.v1+json')
  }
  const manifest = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: runs === undefined ? add(Buffer.from('{}'), 'application/vnd.oci.empty.v1+json') : configOf(runs),
    layers: [...others, blob],
    ...(annotated && { annotations: { 'io.shed.rootfs.erofs.digest': blob.digest } }),
  }
  return { root: add(Buffer.from(JSON.stringify(manifest)), manifest.mediaType), blobs, blob: blob.digest }
}
