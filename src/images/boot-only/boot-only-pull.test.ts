import { randomBytes } from 'node:crypto'
import { cp, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type BuiltImage, buildImage, buildLayer, ociArchive } from '../../../test/support/image-builder.ts'
import { needs } from '../../../test/support/needs.ts'
import { registryTools } from '../../../test/support/registry.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { type Digest, digestOf, parseDigest } from '../../base/index.ts'
import {
  decodeChunkIndex,
  encodeChunkIndex,
  encodePublishedIndex,
  encodeRootfsManifest,
  parseIndex,
  parseManifest,
  parseRootfsManifest,
  platformOf,
  type RootfsManifest,
  rootfsMembers,
} from '../../formats/index.ts'
import { runTool } from '../../host/index.ts'
import { type LazyLower, openLazyLower, readLazyIndex } from '../../lazy/index.ts'
import { allFiles, makeImages, streamOf } from '../images.testkit.ts'
import { storePart } from '../publish/store-part.ts'
import { openPulls, type Pulls } from '../pull/pull.testkit.ts'
import { hashLeaves } from './hash-leaves.ts'

const base = buildLayer([
  { path: 'usr/lib/large', content: Buffer.concat([Buffer.alloc(1_500_000, 'large '), randomBytes(500_000)]) },
  { path: 'usr/lib/zeros', content: Buffer.alloc(600_000) },
  ...Array.from({ length: 20 }, (_, at) => ({ path: `usr/share/${at}`, content: randomBytes(9000) })),
])
const top = buildLayer([{ path: 'etc/top', content: randomBytes(5000) }])
const other = buildLayer([{ path: 'etc/other', content: randomBytes(7000) }])
const image = buildImage({ layers: [base, top] })
const sibling = buildImage({ layers: [base, other] })

describe.runIf(needs({ tools: registryTools }))('a published image is pulled', () => {
  test('without its layers, and boots with no registry', async () => {
    await using place = await published(image)
    const { ref, images, layout, proxy } = place
    const { image: pulled, outcome } = await images.pull({ ref: ref('app:1') })
    expect([outcome, pulled.digest, pulled.boot_only]).toEqual(['pulled', image.root.digest, true])
    for (const { digest } of image.layers) expect(place.blobReads(digest)).toEqual([])
    expect((await place.blobs.list()).map(({ digest }) => digest).sort()).toEqual(documentsOf(image))
    await expect(readdir(layout.downloads)).resolves.toEqual([])

    await place.registry[Symbol.asyncDispose]()
    proxy.clear()
    await rm(layout.cache, { recursive: true, force: true })
    const lower = await images.ensureLower(manifestOf(image))
    expect((await readFile(lower.path)).equals(place.lowers.get(image) ?? Buffer.alloc(0))).toBe(true)
    expect(proxy.requests).toEqual([])
    await expect(images.push({ ref: ref('app:1') })).rejects.toMatchObject({
      code: 'IMAGE_INCOMPLETE',
      hint: hintFor(place),
    })
    await expect(images.archive([ref('app:1')])).rejects.toMatchObject({
      code: 'IMAGE_INCOMPLETE',
      hint: hintFor(place),
    })
  })

  test('once: the second time nothing is fetched', async () => {
    await using place = await published(image)
    await place.images.pull({ ref: place.ref('app:1') })
    place.proxy.clear()
    expect((await place.images.pull({ ref: place.ref('app:1') })).outcome).toBe('unchanged')
    expect(place.proxy.requests.map(({ method }) => method)).toEqual(['HEAD'])
  })

  test.runIf(needs({ tools: ['skopeo'] }))('into a store that skopeo reads', async () => {
    await using place = await published(image)
    await place.images.pull({ ref: place.ref('app:1') })
    const { stdout } = await runTool('skopeo', ['inspect', '--raw', `oci:${place.layout.root}:${place.ref('app:1')}`])
    expect(digestOf(stdout)).toBe(image.root.digest)
  })

  test('and what this host has of another one is not fetched', async () => {
    await using place = await published(image, sibling)
    await place.images.pull({ ref: place.ref('app:1') })
    place.proxy.clear()
    await place.images.pull({ ref: place.ref('app:2') })
    const shared = await dataDigest(place, '1', base.diffId)
    expect(shared).toBe(await dataDigest(place, '2', base.diffId))
    expect(place.blobReads(shared)).toEqual([])
    const lower = await place.images.ensureLower(manifestOf(sibling))
    expect((await readFile(lower.path)).equals(place.lowers.get(sibling) ?? Buffer.alloc(0))).toBe(true)
  })

  test('nor what it has unpacked of an image with layers', async () => {
    await using place = await published(image)
    await place.images.load({ source: { stream: streamOf(ociArchive([{ image: sibling, ref: 'other:1' }])) } })
    await place.images.pull({ ref: place.ref('app:1') })
    expect(place.blobReads(await dataDigest(place, '1', base.diffId))).toEqual([])
    // What is here of it has rotted since: then it is fetched after all.
    await place.images.remove(place.ref('app:1'), { force: false })
    const data = place.layout.layerData(parseDigest(base.diffId))
    const bytes = await readFile(data)
    await rm(data)
    await writeFile(data, bytes.fill('x', 4096, 8192))
    await place.images.pull({ ref: place.ref('app:1') })
    expect(place.blobReads(await dataDigest(place, '1', base.diffId))).toEqual([0])
    const lower = await place.images.ensureLower(manifestOf(image))
    expect((await readFile(lower.path)).equals(place.lowers.get(image) ?? Buffer.alloc(0))).toBe(true)
  })

  test('nor the parts of which all is here of an image that is read in part', async () => {
    await using place = await published(image)
    const known = await readInPart(place, (lower) => lower.read(lower.bytes - 100, 100))
    await place.images.pull({ ref: place.ref('app:1') })
    expect(place.blobReads(await dataDigest(place, '1', top.diffId))).toEqual([])
    expect(place.blobReads(await digestOfPart(place, 'bootstrap'))).toEqual([])
    expect(place.blobReads(await dataDigest(place, '1', base.diffId))).toEqual([0])
    await expectWhole(place, known)
  })

  test('nor anything when all is here, unless that has rotted', async () => {
    await using place = await published(image)
    const fill = async (lower: LazyLower) => await lower.fill({ signal: new AbortController().signal })
    const known = await readInPart(place, fill)
    await place.images.pull({ ref: place.ref('app:1') })
    for (const part of ['bootstrap', 'data']) expect(place.blobReads(await digestOfPart(place, part))).toEqual([])
    await expectWhole(place, known)
    await place.images.remove(place.ref('app:1'), { force: false })

    const { chunkIndex } = await readInPart(place, fill)
    await using data = await open(place.layout.lazyLower(chunkIndex).data, 'r+')
    await data.write(Buffer.from('rotten'), 0, 6, 1_000_000)
    place.proxy.clear()
    await place.images.pull({ ref: place.ref('app:1') })
    expect(place.blobReads(await dataDigest(place, '1', base.diffId))).toEqual([0])
    // What has not is not.
    expect(place.blobReads(await digestOfPart(place, 'bootstrap'))).toEqual([])
    expect(place.blobReads(await dataDigest(place, '1', top.diffId))).toEqual([])
    await expectWhole(place, known)
  })

  test('with its layers when they are asked for, then or later', async () => {
    await using place = await published(image)
    const [ref, digest] = [place.ref('app:1'), manifestOf(image)]
    await place.images.pull({ ref })
    const { ino } = await stat((await place.images.ensureLower(digest)).path)
    expect(await place.images.pull({ ref, withLayers: true })).toMatchObject({
      outcome: 'pulled',
      image: { digest, tags: [ref] },
    })
    expect((await place.images.inspect(ref)).boot_only).toBeUndefined()
    // What the layers give is what was published: the file that sheds have open stays, in the cache.
    const lower = await place.images.ensureLower(digest)
    expect(lower).toMatchObject({ path: place.layout.lower('plain', digest), warnings: [] })
    expect((await stat(lower.path)).ino).toBe(ino)
    expect(await readdir(place.layout.keptLowers)).toEqual([])
    await place.images.push({ ref, destination: place.ref('copy:1') })
    expect((await place.images.pull({ ref, withLayers: true })).outcome).toBe('unchanged')
  })

  test('and goes with all that it brought', async () => {
    await using place = await published(image)
    const before = await allFiles(place.layout)
    await place.images.pull({ ref: place.ref('app:1') })
    await place.images.remove(place.ref('app:1'), { force: false })
    expect(await allFiles(place.layout)).toEqual(before)
  })
})

describe.runIf(needs({ tools: registryTools }))('of a published image nothing is believed', () => {
  test.each(['bootstrap', 'data', 'chunk index', 'config'])('wrong bytes in the %s are refused', async (which) => {
    await using place = await published(image)
    const before = await allFiles(place.layout)
    const target = await digestOfPart(place, which)
    place.proxy.fault({ method: 'GET', path: new RegExp(target), times: 100 }, { kind: 'corrupt', at: 40 })
    await expect(place.images.pull({ ref: place.ref('app:1') })).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
    expect(await place.images.list()).toEqual([])
    expect((await allFiles(place.layout)).filter((name) => !name.startsWith('downloads/'))).toEqual(before)
  })

  test('wrong bytes in a rootfs manifest that is too long for the index to have it', async () => {
    await using place = await published(image)
    const { rootfs, index } = await readPublished(place)
    await republish(place, 'long', rootfs, encodeChunkIndex(index), 'x'.repeat(16 * 1024))
    const { digest } = (await readPublished(place, 'long')).descriptor
    place.proxy.fault({ method: 'GET', path: new RegExp(digest), times: 1 }, { kind: 'corrupt', at: 40 })
    const ref = place.ref('app:long')
    await expect(place.images.pull({ ref })).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
    expect(await place.images.pull({ ref })).toMatchObject({ outcome: 'pulled', image: { boot_only: true } })
  })

  test('a chunk index that says other leaves, and one that contradicts the manifest', async () => {
    await using place = await published(image)
    const { rootfs, index } = await readPublished(place)
    const leaves = Buffer.from(index.leaves)
    leaves.writeUInt8(leaves.readUInt8(64) ^ 1, 64)
    await republish(place, 'leaf', rootfs, encodeChunkIndex({ ...index, leaves }))
    await expect(place.images.pull({ ref: place.ref('app:leaf') })).rejects.toMatchObject({
      code: 'DIGEST_MISMATCH',
      data: { leaf: 2 },
    })
    await republish(place, 'other', rootfs, encodeChunkIndex({ ...index, writerVersion: 7 }))
    await expect(place.images.pull({ ref: place.ref('app:other') })).rejects.toMatchObject({ code: 'IMAGE_INVALID' })
    expect(await place.images.list()).toEqual([])
  })

  test('the rootfs of another image', async () => {
    await using place = await published(image, sibling)
    const { rootfs, index } = await readPublished(place, '2')
    await republish(place, 'evil', rootfs, encodeChunkIndex(index))
    await expect(place.images.pull({ ref: place.ref('app:evil') })).rejects.toMatchObject({ code: 'IMAGE_INVALID' })
  })

  test('a second rootfs of the same image is refused while the first is here', async () => {
    await using place = await published(image)
    await place.images.pull({ ref: place.ref('app:1') })
    await republishWithOtherBytes(place, 'evil')
    await expect(place.images.pull({ ref: place.ref('app:evil') })).rejects.toMatchObject({
      code: 'DIGEST_MISMATCH',
      message: expect.stringContaining(place.ref('app:1')),
    })
    await place.images.remove(place.ref('app:1'), { force: false })
    await place.images.pull({ ref: place.ref('app:evil') })
  })

  test('whoever asks for the image itself, or has its layers, gets what the layers give', async () => {
    await using place = await published(image)
    await republishWithOtherBytes(place, 'evil')
    await place.images.pull({ ref: place.ref('app:evil') })
    await place.publish(image, 'app:plain')
    expect((await place.images.pull({ ref: place.ref('app:plain') })).outcome).toBe('pulled')
    const lower = await place.images.ensureLower(manifestOf(image))
    expect(lower.warnings).toEqual([expect.stringContaining('not what its layers give')])
    expect((await readFile(lower.path)).equals(place.lowers.get(image) ?? Buffer.alloc(0))).toBe(true)
  })

  test('a lower that has rotted on this disk is fetched again', async () => {
    await using place = await published(image)
    await place.images.pull({ ref: place.ref('app:1') })
    const kept = place.layout.keptLower(manifestOf(image))
    const bytes = await readFile(kept)
    await rm(kept)
    await writeFile(kept, bytes.fill(0, bytes.length - 4096))
    // The same, by another index: what is here is looked at.
    const { rootfs, index } = await readPublished(place)
    await republish(place, 'again', { ...rootfs, profile: rootfs.profile }, encodeChunkIndex(index), 'annotated')
    await place.images.pull({ ref: place.ref('app:again') })
    expect((await readFile(kept)).equals(place.lowers.get(image) ?? Buffer.alloc(0))).toBe(true)
  })
})

interface Published extends Pulls {
  /** What each image's lower is, as its layers give it. */
  readonly lowers: ReadonlyMap<BuiltImage, Buffer>
}

/** A registry with images published as app:1, app:2…, and a host that has none of them. */
async function published(...all: readonly BuiltImage[]): Promise<Published> {
  const place = await openPulls()
  const storage = `${kept.path}/${all.length}`
  const known = lowersOf.get(storage)
  if (known !== undefined) {
    await cp(storage, place.registry.storage, { recursive: true })
    return { ...place, lowers: known }
  }
  const lowers = await publish(place, all)
  await cp(place.registry.storage, storage, { recursive: true })
  lowersOf.set(storage, lowers)
  return { ...place, lowers }
}

/** What a registry stores once these are published, and what their lowers are. It is published once; each test has a registry of its own with a copy. */
const lowersOf = new Map<string, ReadonlyMap<BuiltImage, Buffer>>()
let kept: TemporaryDirectory
beforeAll(async () => {
  kept = await temporaryDirectory()
})
afterAll(() => kept[Symbol.asyncDispose]())

async function publish(place: Pulls, all: readonly BuiltImage[]): Promise<ReadonlyMap<BuiltImage, Buffer>> {
  await using publisher = await makeImages({ registries: place.registries })
  const lowers = new Map<BuiltImage, Buffer>()
  for (const [at, one] of all.entries()) {
    const ref = `image:${at + 1}`
    await publisher.images.load({ source: { stream: streamOf(ociArchive([{ image: one, ref }])) } })
    await publisher.images.publish({ ref, destination: `${place.proxy.host}/app:${at + 1}` })
    lowers.set(one, await readFile((await publisher.images.ensureLower(manifestOf(one))).path))
  }
  place.proxy.clear()
  return lowers
}

/** Makes a cache of the image, of which that is here which was read. */
async function readInPart(
  { images, layout, registries, registry, proxy, ref }: Pulls,
  read: (lower: LazyLower) => unknown,
) {
  const {
    lazy,
    image: { manifestDigest: manifest },
  } = await images.bringLazily(ref('app:1'))
  const index = lazy && (await readLazyIndex(layout, lazy.chunkIndex))
  if (lazy === undefined || index === undefined) throw new Error('it is not read in part')
  await using lower = await openLazyLower({
    index,
    path: layout.lazyLower(lazy.chunkIndex).data,
    readStored: (blob) => registries.repository({ registry: registry.host, path: 'app' }).readBlob(blob),
    policy: { kind: 'hang' },
    listener: { degraded: () => {}, recovered: () => {} },
  })
  await read(lower)
  proxy.clear()
  return { manifest, chunkIndex: lazy.chunkIndex }
}

/** The lower is that of the image, and nothing is left of the cache. */
async function expectWhole({ images, layout, lowers }: Published, { manifest }: { manifest: Digest }): Promise<void> {
  const { path } = await images.ensureLower(manifest)
  expect((await readFile(path)).equals(lowers.get(image) ?? Buffer.alloc(0))).toBe(true)
  expect(await readdir(layout.lazyLowers)).toEqual([])
}

async function readPublished(place: Pulls, tag = '1') {
  const repository = inRegistry(place)
  const index = parseIndex((await repository.readManifest(tag)).bytes)
  const descriptor = rootfsMembers(index)[0]
  if (descriptor === undefined) throw new Error('nothing is published there')
  const rootfs = parseRootfsManifest(parseManifest((await repository.readManifest(descriptor.digest)).bytes))
  const chunks: Buffer[] = []
  for await (const chunk of repository.readBlob(rootfs.chunkIndex)) chunks.push(chunk)
  return { rootfs, descriptor, index: decodeChunkIndex(Buffer.concat(chunks)) }
}

/** Publishes under a tag, beside the image of this file, a rootfs that says what it is told. */
async function republish(
  place: Pulls,
  tag: string,
  rootfs: RootfsManifest,
  chunkIndex: Buffer,
  note = '',
): Promise<void> {
  const repository = inRegistry(place)
  const subject = { mediaType: image.root.mediaType, digest: manifestOf(image), size: image.root.size }
  await place.uploadBytes(chunkIndex)
  const index = { digest: digestOf(chunkIndex), size: chunkIndex.length }
  const text = encodeRootfsManifest({ ...rootfs, subject, chunkIndex: index }).toString()
  const bytes = Buffer.from(text.replace('"annotations":{"vnd', `"annotations":{"note":"${note}","vnd`))
  const mediaType = 'application/vnd.oci.image.manifest.v1+json'
  await repository.writeManifest({ reference: digestOf(bytes), mediaType, bytes })
  await repository.writeManifest({
    reference: tag,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    bytes: encodePublishedIndex({
      image: { ...subject, platform: platformOf(process.arch) },
      rootfs: { descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length }, bytes },
    }),
  })
}

/** A rootfs that boots as the image's and holds something else. */
async function republishWithOtherBytes(place: Published, tag: string): Promise<void> {
  const lower = Buffer.from(place.lowers.get(image) ?? '')
  lower.writeUInt8(lower.readUInt8(lower.length - 4096) ^ 1, lower.length - 4096)
  await using publisher = await makeImages()
  const { rootfs, index } = await readPublished(place)
  const part = rootfs.data.at(-1)
  if (part === undefined) throw new Error('no data')
  const from = publisher.path('part')
  await writeFile(from, lower.subarray(lower.length - part.lowerBytes))
  const lengths = index.parts.at(-1)?.lengths ?? new Uint32Array()
  const { storedBytes, ...stored } = await storePart({ from, to: publisher.path('part.zst'), lengths })
  await place.uploadBytes(await readFile(publisher.path('part.zst')))
  await writeFile(publisher.path('lower'), lower)
  const leaves = await hashLeaves({ paths: [publisher.path('lower')] })
  const data = [...rootfs.data.slice(0, -1), { ...part, digest: stored.digest, size: storedBytes }]
  const parts = [...index.parts.slice(0, -1), stored]
  await republish(place, tag, { ...rootfs, data }, encodeChunkIndex({ ...index, parts, leaves }))
}

async function digestOfPart(place: Pulls, which: string): Promise<string> {
  const { rootfs } = await readPublished(place)
  const digests: Record<string, string | undefined> = {
    bootstrap: rootfs.bootstrap.digest,
    data: rootfs.data[0]?.digest,
    'chunk index': rootfs.chunkIndex.digest,
    config: digestOf(image.config),
  }
  return digests[which] ?? ''
}

async function dataDigest(place: Pulls, tag: string, diffId: string): Promise<Digest> {
  const found = (await readPublished(place, tag)).rootfs.data.find((part) => part.diffId === diffId)
  if (found === undefined) throw new Error('no such layer')
  return found.digest
}

function inRegistry({ registries, registry }: Pulls) {
  return registries.repository({ registry: registry.host, path: 'app' })
}

function hintFor(place: Pulls) {
  return `get what is missing: cowshed image pull --with-layers ${place.ref('app:1')}`
}

function manifestOf(built: BuiltImage): Digest {
  return parseDigest(built.root.digest)
}

/** The manifest and the config. */
function documentsOf(built: BuiltImage): string[] {
  const layers = new Set(built.layers.map(({ digest }) => digest))
  return [...built.blobs.keys()].filter((digest) => !layers.has(digest)).sort()
}
