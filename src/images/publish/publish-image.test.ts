import { createHash, randomBytes } from 'node:crypto'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { FaultProxy } from '../../../test/support/fault-proxy.ts'
import { type BuiltImage, buildImage, buildLayer, ociArchive } from '../../../test/support/image-builder.ts'
import { needs } from '../../../test/support/needs.ts'
import { registryTools, startRegistry } from '../../../test/support/registry.ts'
import { type Digest, type OnProgress, parseDigest } from '../../base/index.ts'
import {
  addToTrace,
  chunkMap,
  decodeChunkIndex,
  encodeBootTrace,
  leafBytes,
  leafHashBytes,
  mediaTypes,
  parseIndex,
  parseManifest,
  parseRootfsManifest,
  rootfsMembers,
} from '../../formats/index.ts'
import { decompress, runTool } from '../../host/index.ts'
import { writeBootTrace } from '../../lazy/index.ts'
import type { Repository } from '../../wires/index.ts'
import { streamOf } from '../images.testkit.ts'
import { openPulls } from '../pull/pull.testkit.ts'

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
    const { repository, publish, images } = place
    const published = await publish(image, 'app:1')
    const lower = await readFile((await images.ensureLower(digestOf(image))).path)
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
    await writeFile(place.path('layer.zst'), stored)
    await runTool('zstd', ['-d', '-q', place.path('layer.zst')])
    const data = await readFile(place.layout.layerData(parseDigest(base.diffId)))
    expect((await readFile(place.path('layer'))).equals(data)).toBe(true)
  })

  test.runIf(needs({ tools: ['skopeo', 'umoci'] }))('and other tools see the image alone', async () => {
    await using place = await makePlace()
    const { digest } = await place.publish(image, 'app:1')
    const source = `docker://${place.registry.host}/team/app:1`
    const inspected = await runTool('skopeo', ['inspect', '--tls-verify=false', source])
    expect(JSON.parse(inspected.stdout.toString())).toMatchObject({
      Digest: expect.any(String),
      Layers: image.layers.map(({ digest }) => digest),
    })
    const copy = place.path('copy')
    await runTool('skopeo', ['copy', '-q', '--src-tls-verify=false', '--preserve-digests', source, `oci:${copy}:1`])
    const { manifests } = parseIndex(await readFile(`${copy}/index.json`))
    expect(manifests.map(({ digest }) => digest)).toEqual([image.root.digest])
    // All of it can be copied on, and is published there too.
    const all = place.path('all')
    const whole = ['--all', '--preserve-digests', '--src-tls-verify=false']
    await runTool('skopeo', ['copy', '-q', ...whole, source, `oci:${all}:1`])
    expect(parseIndex(await readFile(`${all}/index.json`)).manifests.map((member) => member.digest)).toEqual([digest])
  })

  test('the same image twice: the same bytes, and nothing is sent or compressed again', async () => {
    await using place = await makePlace()
    const first = await place.publish(image, 'app:1')
    const again = await place.publish(image, 'app:2')
    expect(again).toEqual({
      ...first,
      destination: again.destination,
      uploadedBytes: 0,
      blobs: { present: 9, mounted: 0, uploaded: 0 },
    })
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
    await using place = await makePlace()
    const first = await place.publish(image, 'app:1')
    await using registry = await startRegistry()
    const destination = `${registry.host}/new/app:1`
    const there = await place.images.publish({ ref: 'app:1', destination, insecure: true })
    expect(there).toEqual({ ...first, destination })
  })

  describe('with boot traces of it', () => {
    let place: Place
    const traceOf = (chunkIndex: Digest, ...leaves: number[]) => addToTrace({ chunkIndex, boots: 0, runs: [] }, leaves)
    beforeAll(async () => {
      place = await makePlace()
      await place.publish(image, 'app:1')
    })
    afterAll(() => place[Symbol.asyncDispose]())

    test('that this host has: published again, it has them, and nothing else is sent', async () => {
      const { rootfs } = await readRootfs(place.repository, '1')
      const { digest: chunkIndex } = rootfs.chunkIndex
      await writeBootTrace(place.layout, { name: 'boot', trace: traceOf(chunkIndex, 3, 1) })
      const again = await place.publish(image, 'app:1')
      expect([again.traces, again.blobs]).toEqual([['boot'], { present: 9, mounted: 0, uploaded: 1 }])
      const found = await readRootfs(place.repository, '1')
      expect(found.image.digest).toBe(image.root.digest)
      const [trace] = found.rootfs.traces
      if (trace === undefined) throw new Error('it has none')
      const bytes = await collect(place.repository.readBlob(trace))
      expect(bytes.equals(encodeBootTrace(traceOf(chunkIndex, 3, 1)))).toBe(true)
      expect(found.rootfs.chunkIndex).toEqual(rootfs.chunkIndex)
    })

    test('in a file; those that it has already it keeps', async () => {
      const { rootfs } = await readRootfs(place.repository, '1')
      const { digest: chunkIndex } = rootfs.chunkIndex
      await rm(place.layout.lazyLower(chunkIndex).traces, { recursive: true })
      await writeFile(place.path('web.trace'), encodeBootTrace(traceOf(chunkIndex, 2)))
      const again = await place.publish(image, 'app:1', [place.path('web.trace')])
      expect(again.traces).toEqual(['boot', 'web'])
      const { traces } = (await readRootfs(place.repository, '1')).rootfs
      expect(traces).toEqual([...rootfs.traces, expect.objectContaining({ name: 'web' })])
      expect((await place.publish(image, 'app:1')).digest).toBe(again.digest)
    })

    test('from a host that has no layers of it; the tag is then what publishing there would have made it', async () => {
      await using host = await openPulls()
      const { digest } = (await readRootfs(place.repository, '1')).rootfs.chunkIndex
      const ref = place.ref('team/app:1')
      await expect(host.images.publishTraces({ ref, insecure: true })).rejects.toMatchObject({
        code: 'FILE_NOT_FOUND',
        hint: expect.stringContaining(`--image ${ref} --pull lazy`),
      })
      await writeBootTrace(host.layout, { name: 'far', trace: traceOf(digest, 7, 5) })
      const sent = await host.images.publishTraces({ ref, insecure: true })
      expect(sent).toMatchObject({ destination: ref, traces: ['boot', 'far', 'web'], outcome: 'published' })
      const again = await host.images.publishTraces({ ref, insecure: true })
      expect(again).toEqual({ ...sent, outcome: 'unchanged' })
      expect((await place.publish(image, 'app:1')).digest).toBe(sent.digest)
    })

    test('of an image of several, and what the tag has of others stays as it is', async () => {
      const { bytes } = await place.repository.readManifest('1')
      const index = JSON.parse(bytes.toString()) as { manifests: object[] }
      const more = { ...index.manifests[0], platform: { architecture: 'riscv64', os: 'linux' }, data: 'as it is' }
      const written = Buffer.from(
        JSON.stringify({ ...index, annotations: { a: 'b' }, manifests: [...index.manifests, more] }),
      )
      await place.repository.writeManifest({ reference: 'more', mediaType: mediaTypes.ociIndex, bytes: written })
      await writeFile(
        place.path('late'),
        encodeBootTrace(traceOf((await readRootfs(place.repository, '1')).rootfs.chunkIndex.digest, 9)),
      )
      const ref = place.ref('team/app:more')
      await place.images.publishTraces({ ref, insecure: true, traces: [place.path('late')] })
      const now = JSON.parse((await place.repository.readManifest('more')).bytes.toString()) as typeof index
      expect(now).toMatchObject({ annotations: { a: 'b' } })
      expect([now.manifests[0], now.manifests[2]]).toEqual([index.manifests[0], more])
      await expect(
        place.images.publishTraces({ ref: `${ref}@${image.root.digest}`, insecure: true }),
      ).rejects.toMatchObject({ code: 'INVALID_REQUEST' })
    })

    test('but not with one of another image, or with what is none', async () => {
      await writeFile(place.path('other'), encodeBootTrace(traceOf(parseDigest(image.root.digest), 1)))
      await writeFile(place.path('Name'), '')
      const publishWith = async (name: string) => await place.publish(image, 'app:1', [place.path(name)])
      await expect(publishWith('other')).rejects.toMatchObject({ code: 'BOOT_TRACE_INVALID' })
      await expect(publishWith('Name')).rejects.toMatchObject({ code: 'INVALID_REQUEST' })
      await expect(publishWith('absent')).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })
    })
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
    await place.images.ensureLower(digestOf(image))
    for (const planned of await place.images.planLayerDrops()) await place.images.dropLayers(planned)
    await expect(place.publish(image, 'app:1')).rejects.toMatchObject({
      code: 'IMAGE_INCOMPLETE',
      hint: 'get what is missing: cowshed image pull --with-layers app:1',
    })
  })
})

/** A registry behind a proxy, and a store with the images of this file. */
async function makePlace() {
  const pulls = await openPulls()
  const tagged = [image, sibling].map((one, at) => ({ image: one, ref: `app:${at + 1}` }))
  await pulls.images.load({ source: { stream: streamOf(ociArchive(tagged)) } })
  const phases = new Set<string>()
  return {
    ...pulls,
    /** Asked without the proxy. */
    repository: pulls.registries.repository({ registry: pulls.registry.host, path: 'team/app' }),
    /** The phases of the last publication. */
    phases,
    /** `app:1` becomes `team/app:1`. */
    publish: async (built: BuiltImage, to: string, traces: string[] = []) => {
      phases.clear()
      const ref = built === image ? 'app:1' : 'app:2'
      const onProgress: OnProgress = ({ phase }) => phases.add(phase)
      return await pulls.images.publish({ ref, destination: pulls.ref(`team/${to}`), traces, onProgress })
    },
  }
}

type Place = Awaited<ReturnType<typeof makePlace>>

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
