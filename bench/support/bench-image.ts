import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { debianRootfs } from '../../test/support/debian-rootfs.ts'
import { descriptorOf, digestOf, hostArchitecture } from '../../test/support/image-builder.ts'
import { buildTar } from '../../test/support/tar-builder.ts'
import { runCommand } from './run-command.ts'

export interface BenchImage {
  /** An OCI layout directory; the image's reference in it is `bench`. */
  readonly layout: string
  readonly manifest: string
  readonly layers: readonly { readonly diffId: string; readonly path: string }[]
  /** Bytes of all layers, uncompressed and as they are stored. */
  readonly tarBytes: number
  readonly blobBytes: number
}

/** tar's arguments for each layer: Debian in two halves, then its compilers. */
const splits = [
  ['--exclude=./usr/lib', '--exclude=./usr/share', '.'],
  ['--exclude=./usr/lib/gcc', './usr/lib', './usr/share'],
]
/** Of the third layer, besides what it adds. */
const deletions = ['usr/share/.wh.doc', 'usr/share/.wh.man', 'usr/share/locale/.wh..wh..opq', 'etc/.wh.issue']
const readBytes = 1 << 20

/**
 * A real Debian as an OCI image of three gzip layers, the last of which deletes things. Made once per machine, beside the root filesystem that
 * it is made of; needs root, because only root can unpack owners and devices.
 */
export async function benchImage(flavour: 'minbase' | 'large' | 'programs'): Promise<BenchImage> {
  const rootfs = await debianRootfs(flavour)
  const layout = rootfs.replace(/\.tar$/, '.oci')
  const record = join(layout, 'bench.json')
  const known = await readFile(record, 'utf8').catch(() => undefined)
  if (known !== undefined) return JSON.parse(known) as BenchImage
  await rm(layout, { recursive: true, force: true })
  await mkdir(join(layout, 'blobs/sha256'), { recursive: true })
  const image = await makeImage(rootfs, layout)
  await writeFile(record, JSON.stringify(image))
  return image
}

async function makeImage(rootfs: string, layout: string): Promise<BenchImage> {
  const root = join(layout, 'root')
  await mkdir(root)
  await runCommand('tar', ['-x', '--numeric-owner', '-f', rootfs, '-C', root])
  const layers = []
  for (const what of splits) layers.push(await tarLayer(layout, root, what))
  layers.push(await changesLayer(layout, root))
  await rm(root, { recursive: true })
  const manifest = await writeDocuments(layout, layers)
  const sum = (sizes: readonly number[]) => sizes.reduce((total, size) => total + size, 0)
  return {
    layout,
    manifest,
    layers: layers.map(({ diffId, path }) => ({ diffId, path })),
    tarBytes: sum(layers.map(({ tarBytes }) => tarBytes)),
    blobBytes: sum(layers.map(({ size }) => size)),
  }
}

interface Layer {
  readonly diffId: string
  readonly digest: string
  readonly path: string
  readonly size: number
  readonly tarBytes: number
}

async function tarLayer(layout: string, root: string, what: readonly string[]): Promise<Layer> {
  const tar = join(layout, 'layer.tar')
  await runCommand('tar', ['-c', '--format=pax', '--numeric-owner', '--sort=name', '-f', tar, '-C', root, ...what])
  return await storeLayer(layout, tar)
}

/** What is left of the root filesystem, if it has compilers, and the whiteouts. */
async function changesLayer(layout: string, root: string): Promise<Layer> {
  const tar = join(layout, 'layer.tar')
  const compilers = await stat(join(root, 'usr/lib/gcc')).then(
    () => ['./usr/lib/gcc'],
    () => ['./etc'],
  )
  await runCommand('tar', ['-c', '--format=pax', '--numeric-owner', '--sort=name', '-f', tar, '-C', root, ...compilers])
  const whiteouts = join(layout, 'whiteouts.tar')
  await writeFile(whiteouts, buildTar(deletions.map((path) => ({ path, content: '' }))))
  await runCommand('tar', ['--concatenate', '-f', tar, whiteouts])
  await rm(whiteouts)
  return await storeLayer(layout, tar)
}

async function storeLayer(layout: string, tar: string): Promise<Layer> {
  const half = join(layout, 'layer.gz')
  await pipeline(createReadStream(tar, { highWaterMark: readBytes }), createGzip({ level: 6 }), createWriteStream(half))
  const layer = {
    diffId: await digestOfFile(tar),
    digest: await digestOfFile(half),
    tarBytes: (await stat(tar)).size,
    size: (await stat(half)).size,
  }
  const path = join(layout, 'blobs', layer.digest.replace(':', '/'))
  await rename(half, path)
  await rm(tar)
  return { ...layer, path }
}

/** @returns the manifest's digest */
async function writeDocuments(layout: string, layers: readonly Layer[]): Promise<string> {
  const type = (what: string) => `application/vnd.oci.image.${what}`
  const store = async (value: object, mediaType: string) => {
    const bytes = Buffer.from(JSON.stringify(value))
    await writeFile(join(layout, 'blobs', digestOf(bytes).replace(':', '/')), bytes)
    return descriptorOf(bytes, mediaType)
  }
  const diffIds = layers.map(({ diffId }) => diffId)
  const config = {
    architecture: hostArchitecture(),
    os: 'linux',
    config: {},
    rootfs: { type: 'layers', diff_ids: diffIds },
  }
  const manifest = {
    schemaVersion: 2,
    mediaType: type('manifest.v1+json'),
    config: await store(config, type('config.v1+json')),
    layers: layers.map(({ digest, size }) => ({ mediaType: type('layer.v1.tar+gzip'), digest, size })),
  }
  const root = await store(manifest, manifest.mediaType)
  const annotations = { 'org.opencontainers.image.ref.name': 'bench' }
  await writeFile(
    join(layout, 'index.json'),
    JSON.stringify({ schemaVersion: 2, manifests: [{ ...root, annotations }] }),
  )
  await writeFile(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  return root.digest
}

async function digestOfFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: readBytes })) hash.update(chunk as Buffer)
  return `sha256:${hash.digest('hex')}`
}
