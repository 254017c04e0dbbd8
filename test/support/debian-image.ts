import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { copyFile, mkdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { debianRootfs } from './debian-rootfs.ts'
import { buildLayer, descriptorOf, digestOf, hostArchitecture } from './image-builder.ts'

/** What debianImages needs, for `needs({tools})`. It needs root, too. */
export const debianImageTools = ['mmdebstrap']

/** Writes an OCI layout to a fresh directory: a real Debian with systemd, `debian:systemd`, and the same without an init, `debian:bare`, by a layer above it. */
export async function debianImages(directory: string): Promise<void> {
  const blobs = join(directory, 'blobs/sha256')
  const pathOf = (digest: string) => join(blobs, digest.slice('sha256:'.length))
  await mkdir(blobs, { recursive: true })
  const tar = await debianRootfs('init')
  const diffId = await digestOfFile(tar)
  await copyFile(tar, pathOf(diffId))
  const debian = { mediaType: `${types}.layer.v1.tar`, digest: diffId, size: (await stat(tar)).size }

  const store = async (bytes: Buffer, mediaType: string) => {
    await writeFile(pathOf(digestOf(bytes)), bytes)
    return descriptorOf(bytes, mediaType)
  }
  const noInit = buildLayer([{ path: 'usr/sbin/.wh.init', content: '' }], { compression: 'none' })
  const above = await store(noInit.blob, `${types}.layer.v1.tar`)
  const image = async (name: string, layers: readonly (typeof debian)[]) => {
    const manifest = {
      schemaVersion: 2,
      mediaType: `${types}.manifest.v1+json`,
      config: await store(json(configOf(layers)), `${types}.config.v1+json`),
      layers,
    }
    const root = await store(json(manifest), manifest.mediaType)
    return { ...root, annotations: { 'org.opencontainers.image.ref.name': name } }
  }
  const manifests = [await image('debian:systemd', [debian]), await image('debian:bare', [debian, above])]
  await writeFile(join(directory, 'index.json'), json({ schemaVersion: 2, manifests }))
  await writeFile(join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
}

const types = 'application/vnd.oci.image'

/** Of layers that are not compressed: their digests are their diff ids. */
function configOf(layers: readonly { readonly digest: string }[]) {
  const rootfs = { type: 'layers', diff_ids: layers.map(({ digest }) => digest) }
  return { architecture: hostArchitecture(), os: 'linux', config: {}, rootfs }
}

function json(value: object): Buffer {
  return Buffer.from(JSON.stringify(value))
}

async function digestOfFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer)
  return `sha256:${hash.digest('hex')}`
}
