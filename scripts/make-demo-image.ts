import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { arch } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGzip, gzipSync } from 'node:zlib'
import { tarEnd, tarHeader, tarPadding } from '../src/formats/index.ts'

interface SmallFile {
  readonly path: string
  readonly mode?: number
  readonly content: string
}

interface Layer {
  readonly about: string
  readonly descriptor: { readonly mediaType: string; readonly digest: string; readonly size: number }
  readonly diffId: string
}

/**
 * Makes an OCI layout of a real Debian in three layers, the last of which deletes files of the first. A layout that is there is used again.
 *
 * @param directory of the layout
 * @param ref the tag
 */
export async function makeDemoImage(directory: string, ref: string): Promise<void> {
  if (await exists(join(directory, 'index.json'))) return
  const half = `${directory}.half`
  await rm(half, { recursive: true, force: true })
  await mkdir(join(half, 'blobs/sha256'), { recursive: true })
  const layers = [
    await debianLayer(half),
    await smallLayer(half, 'add a greeting', greeting),
    await smallLayer(half, 'drop the documentation', deletions),
  ]
  await writeImage(half, ref, layers)
  await rename(half, directory)
}

const greeting: SmallFile[] = [
  {
    path: 'usr/local/bin/hello',
    mode: 0o755,
    content: '#!/bin/sh\necho "hello from $(hostname), kernel $(uname -r)"\n',
  },
  { path: 'etc/motd', content: 'A shed made from a three-layer image.\n' },
  { path: 'srv/draft.txt', content: 'the next layer deletes this\n' },
]

/** A whiteout is an empty file named `.wh.` and what it deletes. */
const deletions: SmallFile[] = [
  'usr/share/.wh.doc',
  'usr/share/.wh.man',
  'usr/share/.wh.locale',
  'srv/.wh.draft.txt',
].map((path) => ({ path, content: '' }))

/** A minimal Debian of this host's release, straight from its mirror. */
async function debianLayer(layout: string): Promise<Layer> {
  const tar = join(layout, 'rootfs.tar')
  const release = /^VERSION_CODENAME=(.*)$/m.exec(await readFile('/etc/os-release', 'utf8'))?.[1] ?? 'bookworm'
  say(`mmdebstrap ${release}: a minimal Debian from its mirror; this takes half a minute or so`)
  const child = spawn('mmdebstrap', ['--quiet', '--variant=minbase', release, tar], { stdio: ['ignore', 2, 2] })
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) throw new Error(`mmdebstrap ended with ${code}`)
  say('compressing it, as a registry would have it')
  const diff = createHash('sha256')
  const zipped = createHash('sha256')
  const path = join(layout, 'blobs/sha256/half')
  await pipeline(
    createReadStream(tar, { highWaterMark: 1 << 20 }),
    tee((chunk) => diff.update(chunk)),
    createGzip({ level: 6 }),
    tee((chunk) => zipped.update(chunk)),
    createWriteStream(path),
  )
  await rm(tar)
  const hex = zipped.digest('hex')
  const { size } = await stat(path)
  await rename(path, join(layout, 'blobs/sha256', hex))
  return layerOf({ about: `mmdebstrap ${release}`, hex, size, diffId: `sha256:${diff.digest('hex')}` })
}

async function smallLayer(layout: string, about: string, files: readonly SmallFile[]): Promise<Layer> {
  const tar = Buffer.concat([...files.flatMap(tarMember), tarEnd()])
  const blob = gzipSync(tar)
  const hex = await putBlob(layout, blob)
  return layerOf({ about, hex, size: blob.length, diffId: `sha256:${sha256(tar)}` })
}

function tarMember({ path, mode = 0o644, content }: SmallFile): Buffer[] {
  const bytes = Buffer.from(content)
  return [
    tarHeader({ path: Buffer.from(path), type: 'file', mode, size: bytes.length }),
    bytes,
    tarPadding(bytes.length),
  ]
}

function layerOf({ about, hex, size, diffId }: { about: string; hex: string; size: number; diffId: string }): Layer {
  const mediaType = 'application/vnd.oci.image.layer.v1.tar+gzip'
  return { about, descriptor: { mediaType, digest: `sha256:${hex}`, size }, diffId }
}

async function writeImage(layout: string, ref: string, layers: readonly Layer[]): Promise<void> {
  const config = await putDocument(layout, 'application/vnd.oci.image.config.v1+json', {
    architecture: { x64: 'amd64' }[arch() as string] ?? arch(),
    os: 'linux',
    config: { Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'], Cmd: ['/bin/bash'] },
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.diffId) },
    history: layers.map((layer) => ({ created_by: layer.about })),
  })
  const manifest = await putDocument(layout, 'application/vnd.oci.image.manifest.v1+json', {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config,
    layers: layers.map((layer) => layer.descriptor),
  })
  const annotations = { 'org.opencontainers.image.ref.name': ref }
  await writeFile(
    join(layout, 'index.json'),
    JSON.stringify({ schemaVersion: 2, manifests: [{ ...manifest, annotations }] }),
  )
  await writeFile(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
}

async function putDocument(layout: string, mediaType: string, document: unknown) {
  const bytes = Buffer.from(JSON.stringify(document))
  return { mediaType, digest: `sha256:${await putBlob(layout, bytes)}`, size: bytes.length }
}

async function putBlob(layout: string, bytes: Buffer): Promise<string> {
  const hex = sha256(bytes)
  await writeFile(join(layout, 'blobs/sha256', hex), bytes)
  return hex
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function tee(see: (chunk: Buffer) => void) {
  return async function* (source: AsyncIterable<Buffer>) {
    for await (const chunk of source) {
      see(chunk)
      yield chunk
    }
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  )
}
