import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { copyFile, mkdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { debianRootfs } from './debian-rootfs.ts'
import { descriptorOf, digestOf, hostArchitecture } from './image-builder.ts'

/** What debianImage needs, for `needs({tools})`. It needs root, too. */
export const debianImageTools = ['mmdebstrap']

/** Writes an OCI layout of one layer to a fresh directory: a real Debian, without an init (`minbase`) or with systemd. It is called `debian:minbase` or `debian:systemd`. */
export async function debianImage(flavour: 'minbase' | 'systemd', directory: string): Promise<void> {
  const blobs = join(directory, 'blobs/sha256')
  await mkdir(blobs, { recursive: true })
  const layer = await debianRootfs(flavour)
  const diffId = await digestOfFile(layer)
  await copyFile(layer, join(blobs, diffId.slice('sha256:'.length)))
  const store = async (value: object, mediaType: string) => {
    const bytes = Buffer.from(JSON.stringify(value))
    await writeFile(join(blobs, digestOf(bytes).slice('sha256:'.length)), bytes)
    return descriptorOf(bytes, mediaType)
  }
  const config = {
    architecture: hostArchitecture(),
    os: 'linux',
    config: {},
    rootfs: { type: 'layers', diff_ids: [diffId] },
  }
  const manifest = {
    schemaVersion: 2,
    mediaType: `${types}.manifest.v1+json`,
    config: await store(config, `${types}.config.v1+json`),
    layers: [{ mediaType: `${types}.layer.v1.tar`, digest: diffId, size: (await stat(layer)).size }],
  }
  const root = await store(manifest, manifest.mediaType)
  const annotations = { 'org.opencontainers.image.ref.name': `debian:${flavour}` }
  const index = { schemaVersion: 2, manifests: [{ ...root, annotations }] }
  await writeFile(join(directory, 'index.json'), JSON.stringify(index))
  await writeFile(join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
}

const types = 'application/vnd.oci.image'

async function digestOfFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer)
  return `sha256:${hash.digest('hex')}`
}
