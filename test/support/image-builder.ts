import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { storeAsZstd } from './store-as-zstd.ts'
import { buildTar, type TarPiece } from './tar-builder.ts'

export { noise } from './noise.ts'

/**
 * Makes images from small descriptions, in memory, without any code of src: layouts, OCI archives and docker archives, broken ones too.
 *
 *     const image = buildImage({ layers: [buildLayer([{ path: 'etc', type: 'directory' }])] })
 *     await writeLayout(dir, [{ image, ref: 'app:1' }])
 */
export function buildImage(spec: ImageSpec = {}): BuiltImage {
  const { layers = [], family = 'oci', architecture = hostArchitecture(), variant } = spec
  const types = families[family]
  const config = bytesOf({
    architecture,
    ...(variant === undefined ? {} : { variant }),
    os: 'linux',
    created: '2024-05-01T12:00:00Z',
    config: spec.run ?? { Env: ['PATH=/usr/bin:/bin'], Cmd: ['/bin/sh'] },
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.diffId) },
    history: layers.map((_, i) => ({ created_by: `layer ${i}` })),
    ...spec.configExtra,
  })
  const manifest = bytesOf({
    schemaVersion: 2,
    mediaType: types.manifest,
    config: descriptorOf(config, types.config),
    layers: layers.map((layer) => descriptorOf(layer.blob, layer.mediaType ?? types.layer[layer.compression])),
    ...spec.manifestExtra,
  })
  const platform = { os: 'linux', architecture, ...(variant === undefined ? {} : { variant }) }
  const blobs = blobMap([config, manifest, ...layers.map((layer) => layer.blob)])
  return { root: descriptorOf(manifest, types.manifest), platform, config, layers, blobs }
}

/** An index over images, or over other indexes. */
export function buildIndex(members: readonly BuiltRoot[], spec: IndexSpec = {}): BuiltRoot {
  const type = families[spec.family ?? 'oci'].index
  const manifests = members.map(({ root, platform }) => ({ ...root, ...(platform === undefined ? {} : { platform }) }))
  const index = bytesOf({ schemaVersion: 2, mediaType: type, manifests: [...manifests, ...(spec.extra ?? [])] })
  const blobs = new Map(members.flatMap((member) => [...member.blobs]))
  return { root: descriptorOf(index, type), blobs: blobs.set(digestOf(index), index) }
}

export function buildLayer(pieces: readonly TarPiece[] | Buffer, options: LayerOptions = {}): BuiltLayer {
  const { compression = 'gzip', mediaType } = options
  const tar = Buffer.isBuffer(pieces) ? pieces : buildTar(pieces)
  const blob = compressors[compression](tar)
  return { tar, blob, compression, mediaType, diffId: digestOf(tar), digest: digestOf(blob) }
}

/** Writes an OCI layout directory. */
export async function writeLayout(directory: string, tags: readonly Tagged[]): Promise<void> {
  for (const { path, content } of layoutFiles(tags)) {
    await mkdir(join(directory, path, '..'), { recursive: true })
    await writeFile(join(directory, path), content)
  }
}

/** An OCI archive: a tar of a layout. */
export function ociArchive(tags: readonly Tagged[], options: ArchiveOptions = {}): Buffer {
  return archiveOf(layoutFiles(tags), options)
}

/** The files of a layout, in the order in which they are written. */
export function layoutFiles(tags: readonly Tagged[]): LayoutFile[] {
  const blobs = new Map(tags.flatMap(({ image }) => [...image.blobs]))
  const manifests = tags.map(({ image, ref, annotations }) => {
    const names = { ...(ref === undefined ? {} : { 'org.opencontainers.image.ref.name': ref }), ...annotations }
    return { ...image.root, ...(Object.keys(names).length === 0 ? {} : { annotations: names }) }
  })
  return [
    { path: 'oci-layout', content: bytesOf({ imageLayoutVersion: '1.0.0' }) },
    { path: 'index.json', content: bytesOf({ schemaVersion: 2, manifests }) },
    ...[...blobs].map(([digest, content]) => ({ path: `blobs/${digest.replace(':', '/')}`, content })),
  ]
}

/** What `docker save` wrote before version 25: one folder a layer, duplicates as symlinks. */
export function dockerArchive(tags: readonly DockerTagged[], options: ArchiveOptions = {}): Buffer {
  const files: LayoutFile[] = []
  const folders = new Map<string, string>()
  const manifest = tags.map(({ image, repoTags }, i) => {
    const configPath = `${hex(digestOf(image.config))}.json`
    files.push({ path: configPath, content: image.config })
    const layers = image.layers.map((layer, at) => {
      const folder = hex(digestOf(Buffer.from(`${i} ${at} ${layer.diffId}`)))
      const path = `${folder}/layer.tar`
      const first = folders.get(layer.digest)
      folders.set(layer.digest, first ?? folder)
      files.push({ path: `${folder}/VERSION`, content: Buffer.from('1.0') })
      if (first === undefined) files.push({ path, content: layer.blob })
      else files.push({ path, content: Buffer.alloc(0), linkTarget: `../${first}/layer.tar` })
      return path
    })
    return { Config: configPath, RepoTags: repoTags ?? null, Layers: layers }
  })
  files.push({ path: 'manifest.json', content: bytesOf(manifest) })
  return archiveOf(files, options)
}

/** A tar of files, the directories before what is in them. */
export function archiveOf(files: readonly LayoutFile[], { prefix = '', reverse = false }: ArchiveOptions = {}): Buffer {
  const ordered = reverse ? [...files].reverse() : files
  const directories = new Set(ordered.flatMap(({ path }) => parents(path)))
  return buildTar([
    ...[...directories].map((path): TarPiece => ({ path: prefix + path, type: 'directory' })),
    ...ordered.map(
      ({ path, content, linkTarget }): TarPiece =>
        linkTarget === undefined
          ? { path: prefix + path, content }
          : { path: prefix + path, type: 'symlink', linkTarget },
    ),
  ])
}

export function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

export function descriptorOf(bytes: Buffer, mediaType: string): BuiltDescriptor {
  return { mediaType, digest: digestOf(bytes), size: bytes.length }
}

/** As images name the processor of this machine. */
export function hostArchitecture(): string {
  return process.arch === 'x64' ? 'amd64' : process.arch
}

export interface ImageSpec {
  readonly layers?: readonly BuiltLayer[]
  readonly family?: 'oci' | 'docker'
  /** The host's unless told. */
  readonly architecture?: string
  readonly variant?: string
  /** The `config` of the image config. */
  readonly run?: object
  /** Fields that replace those of the documents. */
  readonly configExtra?: object
  readonly manifestExtra?: object
}

export interface IndexSpec {
  readonly family?: 'oci' | 'docker'
  /** Further members whose blobs are not there. */
  readonly extra?: readonly object[]
}

export interface LayerOptions {
  readonly compression?: 'gzip' | 'zstd' | 'none'
  /** What its descriptor says, when it is not to say the truth. */
  readonly mediaType?: string
}

export interface BuiltDescriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
}
export interface BuiltRoot {
  readonly root: BuiltDescriptor
  readonly platform?: object
  /** Every blob that is reachable, by digest. */
  readonly blobs: Map<string, Buffer>
}
export interface BuiltImage extends BuiltRoot {
  readonly config: Buffer
  readonly layers: readonly BuiltLayer[]
}
export interface BuiltLayer {
  readonly tar: Buffer
  readonly blob: Buffer
  readonly compression: 'gzip' | 'zstd' | 'none'
  readonly mediaType: string | undefined
  readonly diffId: string
  readonly digest: string
}
export interface Tagged {
  readonly image: BuiltRoot
  readonly ref?: string
  readonly annotations?: Readonly<Record<string, string>>
}
export interface DockerTagged {
  readonly image: BuiltImage
  readonly repoTags?: readonly string[]
}
export interface LayoutFile {
  readonly path: string
  readonly content: Buffer
  /** Makes it a symlink. */
  readonly linkTarget?: string
}
export interface ArchiveOptions {
  /** `./`, as GNU tar writes of a directory. */
  readonly prefix?: string
  /** Last file first: blobs before index.json, layers before manifest.json. */
  readonly reverse?: boolean
}

const families = {
  oci: {
    manifest: 'application/vnd.oci.image.manifest.v1+json',
    index: 'application/vnd.oci.image.index.v1+json',
    config: 'application/vnd.oci.image.config.v1+json',
    layer: {
      none: 'application/vnd.oci.image.layer.v1.tar',
      gzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
      zstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
    },
  },
  docker: {
    manifest: 'application/vnd.docker.distribution.manifest.v2+json',
    index: 'application/vnd.docker.distribution.manifest.list.v2+json',
    config: 'application/vnd.docker.container.image.v1+json',
    layer: {
      none: 'application/vnd.docker.image.rootfs.diff.tar',
      gzip: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
      zstd: 'application/vnd.docker.image.rootfs.diff.tar.zstd',
    },
  },
} as const

const compressors = { none: (tar: Buffer) => tar, gzip: (tar: Buffer) => gzipSync(tar), zstd: storeAsZstd }

function blobMap(blobs: readonly Buffer[]): Map<string, Buffer> {
  return new Map(blobs.map((blob) => [digestOf(blob), blob]))
}

function parents(path: string): string[] {
  const parts = path.split('/').slice(0, -1)
  return parts.map((_, i) => parts.slice(0, i + 1).join('/'))
}

const hex = (digest: string): string => digest.slice('sha256:'.length)
const bytesOf = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))
