import { type Digest, isDigest, Problem, printable } from '../../base/index.ts'
import { bootTraceLimits, isTraceName } from '../boot-trace/index.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { mediaTypes } from '../oci/media-types.ts'
import type { Manifest } from '../oci/parse-manifest.ts'

export const rootfsTypes = {
  artifact: 'application/vnd.cowshed.rootfs.v1+json',
  bootstrap: 'application/vnd.cowshed.rootfs.bootstrap.v1+zstd',
  data: 'application/vnd.cowshed.rootfs.data.v1+zstd',
  chunkIndex: 'application/vnd.cowshed.rootfs.chunks.v1',
  trace: 'application/vnd.cowshed.rootfs.trace.v1',
} as const

/** So many boot traces of a rootfs are read. */
const maxTraces = 16

/** What a manifest has for a config when it has none. @see image-spec manifest.md, "Guidance for an Empty Descriptor" */
export const emptyConfig = {
  bytes: Buffer.from('{}'),
  descriptor: {
    mediaType: 'application/vnd.oci.empty.v1+json',
    digest: 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a' as Digest,
    size: 2,
  },
} as const

/** The form of an image that hosts boot from: where its lower is, in parts. */
export interface RootfsManifest {
  /** Of the writer that made the lower. */
  readonly writerVersion: number
  readonly profile: string
  /** The image manifest that it was made from. */
  readonly subject: Descriptor
  readonly bootstrap: RootfsPart
  /** In the order of the lower. */
  readonly data: readonly (RootfsPart & { readonly diffId: Digest })[]
  readonly chunkIndex: Pick<Descriptor, 'digest' | 'size'>
  /** What boots have read of it, by name: no two have the same. */
  readonly traces: readonly PublishedTrace[]
}

export interface PublishedTrace extends Pick<Descriptor, 'digest' | 'size'> {
  readonly name: string
}

export interface RootfsPart {
  /** Of the blob as it is stored, and its bytes. */
  readonly digest: Digest
  readonly size: number
  /** Bytes of the lower. */
  readonly lowerBytes: number
}

const prefix = 'vnd.cowshed.rootfs.'
const annotations = {
  writerVersion: `${prefix}writer-version`,
  profile: `${prefix}profile`,
  lowerBytes: `${prefix}uncompressed-size`,
  diffId: `${prefix}diff-id`,
  trace: `${prefix}trace`,
} as const

/** The bytes of a rootfs manifest. */
export function encodeRootfsManifest(rootfs: RootfsManifest): Buffer {
  const { subject, bootstrap, data, chunkIndex, traces } = rootfs
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      artifactType: rootfsTypes.artifact,
      config: emptyConfig.descriptor,
      layers: [
        partDescriptor(rootfsTypes.bootstrap, bootstrap),
        ...data.map((part) => partDescriptor(rootfsTypes.data, part)),
        { mediaType: rootfsTypes.chunkIndex, digest: chunkIndex.digest, size: chunkIndex.size },
        ...traces.map(traceDescriptor),
      ],
      subject: { mediaType: subject.mediaType, digest: subject.digest, size: subject.size },
      annotations: {
        [annotations.writerVersion]: String(rootfs.writerVersion),
        [annotations.profile]: rootfs.profile,
      },
    }),
  )
}

function partDescriptor(mediaType: string, { digest, size, lowerBytes, diffId }: RootfsPart & { diffId?: Digest }) {
  const known = { [annotations.lowerBytes]: String(lowerBytes) }
  return { mediaType, digest, size, annotations: diffId ? { ...known, [annotations.diffId]: diffId } : known }
}

function traceDescriptor({ name, digest, size }: PublishedTrace) {
  return { mediaType: rootfsTypes.trace, digest, size, annotations: { [annotations.trace]: name } }
}

export function isRootfsManifest({ artifactType }: Pick<Manifest, 'artifactType'>): boolean {
  return artifactType === rootfsTypes.artifact
}

/**
 * What a manifest of the type of a rootfs says. Layers of types that are not known are passed over, and so are boot traces that cannot be used: an image boots without.
 *
 * @throws Problem IMAGE_INVALID
 */
export function parseRootfsManifest(manifest: Manifest): RootfsManifest {
  const { subject, layers } = manifest
  if (subject === undefined) throw invalid('it names no image that it was made from')
  const ofType = (mediaType: string) => layers.filter((layer) => layer.mediaType === mediaType)
  const [bootstrap, ...bootstraps] = ofType(rootfsTypes.bootstrap)
  const [chunkIndex, ...indexes] = ofType(rootfsTypes.chunkIndex)
  if (bootstrap === undefined || chunkIndex === undefined || bootstraps.length + indexes.length > 0) {
    throw invalid('it must have one bootstrap and one chunk index')
  }
  return {
    writerVersion: count(manifest.annotations?.[annotations.writerVersion], annotations.writerVersion),
    profile: printable(manifest.annotations?.[annotations.profile] ?? ''),
    subject,
    bootstrap: parsePart(bootstrap),
    data: ofType(rootfsTypes.data).map((layer) => ({ ...parsePart(layer), diffId: parseDiffId(layer) })),
    chunkIndex: { digest: chunkIndex.digest, size: chunkIndex.size },
    traces: parseTraces(ofType(rootfsTypes.trace)),
  }
}

function parseTraces(layers: readonly Descriptor[]): PublishedTrace[] {
  const traces = new Map<string, PublishedTrace>()
  for (const { digest, size, annotations: own } of layers) {
    const name = own?.[annotations.trace] ?? ''
    if (isTraceName(name) && size <= bootTraceLimits.bytes && !traces.has(name))
      traces.set(name, { name, digest, size })
  }
  return [...traces.values()].slice(0, maxTraces)
}

function parsePart(layer: Descriptor): RootfsPart {
  const lowerBytes = count(layer.annotations?.[annotations.lowerBytes], annotations.lowerBytes)
  return { digest: layer.digest, size: layer.size, lowerBytes }
}

function parseDiffId({ annotations: own }: Descriptor): Digest {
  const diffId = own?.[annotations.diffId] ?? ''
  if (!isDigest(diffId)) throw invalid(`${annotations.diffId} is no digest`)
  return diffId
}

function count(text: string | undefined, name: string): number {
  if (text === undefined || !/^(?:0|[1-9][0-9]{0,14})$/.test(text)) throw invalid(`${name} is no number`)
  return Number(text)
}

function invalid(why: string): Problem {
  return new Problem('IMAGE_INVALID', `the rootfs manifest is not valid: ${why}`)
}
