import { type Digest, isDigest, Problem, printable } from '../../base/index.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { mediaTypes } from '../oci/media-types.ts'
import type { Manifest } from '../oci/parse-manifest.ts'

export const rootfsTypes = {
  artifact: 'application/vnd.cowshed.rootfs.v1+json',
  bootstrap: 'application/vnd.cowshed.rootfs.bootstrap.v1+zstd',
  data: 'application/vnd.cowshed.rootfs.data.v1+zstd',
  chunkIndex: 'application/vnd.cowshed.rootfs.chunks.v1',
} as const

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
} as const

/** The bytes of a rootfs manifest. */
export function encodeRootfsManifest(rootfs: RootfsManifest): Buffer {
  const { subject, bootstrap, data, chunkIndex } = rootfs
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

export function isRootfsManifest({ artifactType }: Pick<Manifest, 'artifactType'>): boolean {
  return artifactType === rootfsTypes.artifact
}

/**
 * What a manifest of the type of a rootfs says. Layers of types that are not known are passed over.
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
  }
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
