import { createHash, randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { type FaultProxy, startFaultProxy } from '../../../test/support/fault-proxy.ts'
import { type BuiltImage, buildImage, buildLayer, ociArchive } from '../../../test/support/image-builder.ts'
import { needs } from '../../../test/support/needs.ts'
import { registryTools, startRegistry } from '../../../test/support/registry.ts'
import { type DataLayout, parseDigest } from '../../base/index.ts'
import {
  chunkMap,
  decodeChunkIndex,
  leafBytes,
  leafHashBytes,
  parseIndex,
  parseManifest,
  parseRootfsManifest,
  platformOf,
  rootfsMembers,
} from '../../formats/index.ts'
import { decompress, runTool } from '../../host/index.ts'
import { openRegistries, type Repository } from '../../wires/index.ts'
import { makeImages, streamOf, unpackHere } from '../images.testkit.ts'
import type { ImagesContext } from '../images-context.ts'
import { Leases } from '../leases.ts'
import { ensureLower } from '../lowers/ensure-lower.ts'
import { plainWhole } from '../lowers/lower-kind.ts'
import { Downloads } from '../pull/downloads.ts'
import { publishImage } from './publish-image.ts'

const base = buildLayer([
  { path: 'usr/lib/large', content: Buffer.concat([Buffer.alloc(1_500_000, 'large '), randomBytes(700_000)]) },
  ...Array.from({ length: 40 }, (_, at) => ({ path: `usr/share/${at}`, content: randomBytes(9000) })),
])
const top = buildLayer([{ path: 'etc/top', content: randomBytes(5000) }])
const other = buildLayer([{ path: 'etc/other', content: randomBytes(5000) }])
const empty = buildLayer([{ path: 'etc/small', content: 'in the bootstrap' }])
const image = buildImage({ layers: [base, top, empty] })
const sibling = buildImage({ layers: [base, other] })

describe.runIf(needs({ tools: registryTools }))('an image is published', () => {
  test('as it is, with a rootfs whose every byte can be fetched and verified', async () => {
    await using place = await makePlace()
    const { repository, publish, store } = place
    const published = await publish(image, 'app:1')
    const lower = await readFile((await store.images.ensureLower(digestOf(image))).path)
    expect(published).toMatchObject({ manifestDigest: image.root.digest, lowerBytes: lower.length })

    const found = await readRootfs(repository, '1')
    expect(found.image.digest).toBe(image.root.digest)
    expect(found.rootfs.data.map(({ diffId }) => diffId)).toEqual([base.diffId, top.diffId])
    // From the digest of the index alone: any leaf, by ranges of blobs.
    const map = chunkMap(found.index)
    expect(map.lowerBytes).toBe(lower.length)
    for (let offset = 0; offset < lower.length; offset += 5 * leafBytes) {
      const length = Math.min(leafBytes, lower.length - offset)
      const bytes = await fetchRange(repository, found, { offset, length })
      expect(bytes.equals(lower.subarray(offset, offset + length))).toBe(true)
      const leaf = (offset / leafBytes) * leafHashBytes
      const hash = createHash('sha256').update(bytes).digest()
      expect(hash.equals(found.index.leaves.subarray(leaf, leaf + leafHashBytes))).toBe(true)
    }
  })

  test.runIf(needs({ tools: ['zstd'] }))('and zstd gives a layer data blob back', async () => {
    await using place = await makePlace()
    await place.publish(image, 'app:1')
    const { rootfs } = await readRootfs(place.repository, '1')
    const [part] = rootfs.data
    if (part === undefined) throw new Error('no data')
    const stored = await collect(place.repository.readBlob({ digest: part.digest, size: part.size }))
    await writeFile(place.store.path('layer.zst'), stored)
    await runTool('zstd', ['-d', '-q', place.store.path('layer.zst')])
    const data = await readFile(place.store.layout.layerData(parseDigest(base.diffId)))
    expect((await readFile(place.store.path('layer'))).equals(data)).toBe(true)
  })

  test.runIf(needs({ tools: ['skopeo', 'umoci'] }))('and other tools see the image alone', async () => {
    await using place = await makePlace()
    const { digest } = await place.publish(image, 'app:1')
    const source = `docker://${place.host}/team/app:1`
    const inspected = await runTool('skopeo', ['inspect', '--tls-verify=false', source])
    expect(JSON.parse(inspected.stdout.toString())).toMatchObject({
      Digest: expect.any(String),
      Layers: image.layers.map(({ digest }) => digest),
    })
    const copy = place.store.path('copy')
    await runTool('skopeo', ['copy', '-q', '--src-tls-verify=false', '--preserve-digests', source, `oci:${copy}:1`])
    const { manifests } = parseIndex(await readFile(`${copy}/index.json`))
    expect(manifests.map(({ digest }) => digest)).toEqual([image.root.digest])
    // All of it can be copied on, and is published there too.
    const all = place.store.path('all')
    const whole = ['--all', '--preserve-digests', '--src-tls-verify=false']
    await runTool('skopeo', ['copy', '-q', ...whole, source, `oci:${all}:1`])
    expect(parseIndex(await readFile(`${all}/index.json`)).manifests.map((member) => member.digest)).toEqual([digest])
  })

  test('the same image twice: the same bytes, and nothing is sent or compressed again', async () => {
    await using place = await makePlace()
    const first = await place.publish(image, 'app:1')
    const again = await place.publish(image, 'app:2')
    expect(again).toEqual({ ...first, uploadedBytes: 0, blobs: { present: 9, mounted: 0, uploaded: 0 } })
    expect(place.phases).not.toContain('compress')
  })

  test('an image that shares a layer sends only what is new in it', async () => {
    await using place = await makePlace()
    await place.publish(image, 'app:1')
    place.proxy.clear()
    const second = await place.publish(sibling, 'app:other')
    expect(bytesSent(place.proxy)).toBeLessThan(20_000)
    expect(second.uploadedBytes).toBeLessThan(20_000)
    expect(second.rootfsBytes).toBeGreaterThan(700_000)
  })

  test('into another repository of the registry: blobs are mounted, not sent', async () => {
    await using place = await makePlace()
    await place.publish(image, 'app:1')
    place.proxy.clear()
    const elsewhere = await place.publish(image, 'elsewhere:1')
    expect(elsewhere.blobs.mounted).toBe(2)
    expect(place.phases).not.toContain('compress')
  })

  test('what the registry has lost is made again, the same', async () => {
    await using one = await makePlace()
    const first = await one.publish(image, 'app:1')
    await using registry = await startRegistry()
    const repository = openRegistries().repository({ registry: registry.host, path: 'new' }, { plainHttp: true })
    const there = await publishImage(one.context, { ref: 'app:1', repository, tag: '1' })
    expect(there.digest).toBe(first.digest)
    expect(there.uploadedBytes).toBe(first.uploadedBytes)
  })

  test('nobody sees anything of it before all is there', async () => {
    await using place = await makePlace()
    place.proxy.fault({ method: 'PUT', path: /manifests\/1$/ }, { kind: 'answer', status: 403, body: '{}' })
    await expect(place.publish(image, 'app:1')).rejects.toMatchObject({ code: expect.stringContaining('REGISTRY') })
    await expect(place.repository.resolve('1')).rejects.toMatchObject({ code: 'REGISTRY_NOT_FOUND' })
    await place.publish(image, 'app:1')
  })

  test('not without its layers', async () => {
    await using place = await makePlace()
    await place.store.images.ensureLower(digestOf(image))
    for (const planned of await place.store.images.planLayerDrops()) await place.store.images.dropLayers(planned)
    await expect(place.publish(image, 'app:1')).rejects.toMatchObject({
      code: 'IMAGE_INCOMPLETE',
      hint: 'get what is missing: cowshed image pull --with-layers app:1',
    })
  })
})

interface Place extends AsyncDisposable {
  readonly store: Awaited<ReturnType<typeof makeImages>>
  readonly context: ImagesContext
  readonly host: string
  readonly proxy: FaultProxy
  /** `team/app`, asked without the proxy. */
  readonly repository: Repository
  /** The phases of the last publication. */
  readonly phases: Set<string>
  /** `app:1` becomes `team/app:1`. */
  publish(image: BuiltImage, ref: string): ReturnType<typeof publishImage>
}

/** A registry behind a proxy, and a store with the images of this file. */
async function makePlace(): Promise<Place> {
  const store = await makeImages()
  await store.images.load({
    source: { stream: streamOf(ociArchive([image, sibling].map((one, at) => ({ image: one, ref: `app:${at + 1}` })))) },
  })
  const registry = await startRegistry()
  const proxy = await startFaultProxy(registry)
  const registries = openRegistries()
  const context = contextOf(store)
  const phases = new Set<string>()
  return {
    store,
    context,
    host: registry.host,
    proxy,
    repository: registries.repository({ registry: registry.host, path: 'team/app' }, { plainHttp: true }),
    phases,
    publish: async (built, to) => {
      phases.clear()
      const [name = '', tag = ''] = to.split(':')
      const repository = registries.repository({ registry: proxy.host, path: `team/${name}` }, { plainHttp: true })
      const ref = built === image ? 'app:1' : 'app:2'
      return await publishImage(context, { ref, repository, tag, onProgress: ({ phase }) => phases.add(phase) })
    },
    async [Symbol.asyncDispose]() {
      await registries.close()
      await proxy[Symbol.asyncDispose]()
      await registry[Symbol.asyncDispose]()
      await store[Symbol.asyncDispose]()
    },
  }
}

function contextOf({ layout, blobs }: { layout: DataLayout; blobs: ImagesContext['blobs'] }): ImagesContext {
  const platform = platformOf(process.arch)
  const work = { registries: openRegistries(), downloads: new Downloads(layout), unpackLayer: unpackHere, ensureLower }
  const lowerKinds = async () => [plainWhole]
  return { layout, blobs, leases: new Leases(), users: async () => [], platform, lowerKinds, ...work }
}

/** What a lazy reader knows: everything from the index of the tag on, by digest. */
async function readRootfs(repository: Repository, tag: string) {
  const { bytes } = await repository.readManifest(tag)
  const index = parseIndex(bytes)
  const [descriptor] = rootfsMembers(index)
  const [imageDescriptor] = index.manifests
  if (descriptor === undefined || imageDescriptor === undefined) throw new Error('nothing is published there')
  const rootfs = parseRootfsManifest(parseManifest((await repository.readManifest(descriptor.digest)).bytes))
  const chunks = await collect(repository.readBlob(rootfs.chunkIndex))
  return { image: imageDescriptor, rootfs, index: decodeChunkIndex(chunks) }
}

async function fetchRange(
  repository: Repository,
  { rootfs, index }: Awaited<ReturnType<typeof readRootfs>>,
  { offset, length }: { offset: number; length: number },
): Promise<Buffer> {
  const parts = [rootfs.bootstrap, ...rootfs.data]
  const chunks = chunkMap(index).locate(offset, length)
  const bytes: Buffer[] = []
  for (const { part, storedOffset, storedLength } of chunks) {
    const { digest, size } = parts[part] ?? rootfs.bootstrap
    const frame = await firstBytes(repository.readBlob({ digest, size, from: storedOffset }), storedLength)
    bytes.push(await collect(decompress(streamOf(frame), { compression: 'zstd' })))
  }
  const start = offset - (chunks[0]?.offset ?? 0)
  return Buffer.concat(bytes).subarray(start, start + length)
}

async function firstBytes(source: AsyncIterable<Buffer>, length: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of source) {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes >= length) break
  }
  return Buffer.concat(chunks).subarray(0, length)
}

async function collect(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of source) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function bytesSent({ requests }: FaultProxy): number {
  const uploads = requests.filter(
    ({ method, path }) => /^(PUT|PATCH)$/.test(method) && path.includes('/blobs/uploads/'),
  )
  return uploads.reduce((sum, { headers }) => sum + Number(headers['content-length'] ?? Number.NaN), 0)
}

function digestOf(built: BuiltImage) {
  return parseDigest(built.root.digest)
}
