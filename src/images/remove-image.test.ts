import { chmod, readFile, rm, writeFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import {
  type BuiltRoot,
  buildImage,
  buildIndex,
  buildLayer,
  descriptorOf,
  noise,
  ociArchive,
} from '../../test/support/image-builder.ts'
import { Problem, parseDigest } from '../base/index.ts'
import { storeIndexEntry } from '../blobs/index.ts'
import { allFiles, makeImages, sampleImage, streamOf } from './images.testkit.ts'

type Store = Awaited<ReturnType<typeof makeImages>>
const load = (store: Store, image: BuiltRoot, ref: string) =>
  store.images.load({ source: { stream: streamOf(ociArchive([{ image, ref }])) } })
const isDerivedOrBlob = (path: string) => path.startsWith('blobs/') || path.startsWith('cache/')

describe('removing a tag', () => {
  test('that is not the last takes nothing else', async () => {
    await using store = await makeImages()
    await load(store, sampleImage(), 'app:1')
    await store.images.tag('app:1', 'app:latest')
    const before = await allFiles(store.layout)
    expect(await store.images.remove('app:1', { force: false })).toEqual({
      untagged: ['app:1'],
      deleted: [],
      freed_physical_bytes: 0,
    })
    expect(await allFiles(store.layout)).toEqual(before)
    expect((await store.images.list())[0]?.tags).toEqual(['app:latest'])
  })

  test('that is the last takes every blob and every derived file', async () => {
    await using store = await makeImages()
    const image = sampleImage()
    await load(store, image, 'app:1')
    await store.images.ensureLower(parseDigest(image.root.digest))
    expect((await allFiles(store.layout)).some((path) => path.endsWith('.erofs'))).toBe(true)
    const [plan] = await store.images.planRemovals({ images: [parseDigest(image.root.digest)] })
    const { untagged, deleted, freed_physical_bytes } = await store.images.remove('app:1', { force: false })
    expect(untagged).toEqual(['app:1'])
    expect(new Set(deleted)).toEqual(new Set(image.blobs.keys()))
    expect(freed_physical_bytes).toBe(plan?.files.reduce((sum, file) => sum + file.physicalBytes, 0))
    expect((await allFiles(store.layout)).filter(isDerivedOrBlob)).toEqual([])
    expect(await store.images.list()).toEqual([])
  })

  test('keeps what another image has too', async () => {
    await using store = await makeImages()
    const base = sampleImage('base')
    const app = buildImage({ layers: [...base.layers, buildLayer([{ path: 'app', content: 'x' }])] })
    await load(store, base, 'base:1')
    const before = await allFiles(store.layout)
    const baseIndex = await readFile(store.layout.imageIndex, 'utf8')
    await load(store, app, 'app:1')
    await store.images.remove('app:1', { force: false })
    expect(await allFiles(store.layout)).toEqual(before)
    expect(await readFile(store.layout.imageIndex, 'utf8')).toBe(baseIndex)
    expect((await store.images.resolve('base:1')).manifestDigest).toBe(base.root.digest)
  })

  test('of an index takes all platforms', async () => {
    await using store = await makeImages()
    const other = sampleImage('other', { image: { architecture: 'sparc64' } })
    await load(store, buildIndex([sampleImage(), other]), 'app:1')
    await store.images.remove('app:1', { force: false })
    expect((await allFiles(store.layout)).filter(isDerivedOrBlob)).toEqual([])
  })

  test('by digest takes all tags; by the digest of one platform is refused', async () => {
    await using store = await makeImages()
    const image = sampleImage()
    const index = buildIndex([image])
    await load(store, index, 'app:1')
    await store.images.tag('app:1', 'app:2')
    await expect(store.images.remove(image.root.digest, { force: false })).rejects.toMatchObject({
      code: 'INVALID_REQUEST',
    })
    const reply = await store.images.remove(index.root.digest, { force: false })
    expect(reply.untagged).toEqual(['app:1', 'app:2'])
    expect(reply.deleted).toHaveLength(index.blobs.size)
  })

  test('that is not there is IMAGE_NOT_FOUND', async () => {
    await using store = await makeImages()
    await expect(store.images.remove('app:1', { force: true })).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' })
  })
})

describe('an image that sheds use', () => {
  test('is refused, naming them; with force it only loses its name', async () => {
    await using store = await makeImages()
    const image = sampleImage()
    await load(store, image, 'app:1')
    store.users.push(
      { name: 'web', manifestDigest: image.root.digest, isRunning: false },
      { name: 'db', manifestDigest: image.root.digest, isRunning: false },
    )
    await expect(store.images.remove('app:1', { force: false })).rejects.toMatchObject({
      code: 'IMAGE_IN_USE',
      message: 'image app:1 is used by db, web',
      data: { sheds: ['db', 'web'] },
    })
    const before = await allFiles(store.layout)
    expect(await store.images.remove('app:1', { force: true })).toMatchObject({ untagged: ['app:1'], deleted: [] })
    expect(await allFiles(store.layout)).toEqual(before)
    expect(await store.images.list()).toMatchObject([{ tags: [], digest: image.root.digest, used_by: ['db', 'web'] }])
    // Nothing is left to take away but the image itself, and that is used.
    const byDigest = store.images.remove(image.root.digest, { force: true })
    await expect(byDigest).rejects.toMatchObject({ code: 'IMAGE_IN_USE' })
    store.users.length = 0
    await store.images.remove(image.root.digest.slice(7, 20), { force: false })
    expect((await allFiles(store.layout)).filter(isDerivedOrBlob)).toEqual([])
  })

  test('through one platform of its index is in use', async () => {
    await using store = await makeImages()
    const image = sampleImage()
    await load(store, buildIndex([image]), 'app:1')
    store.users.push({ name: 'web', manifestDigest: image.root.digest, isRunning: false })
    await expect(store.images.remove('app:1', { force: false })).rejects.toMatchObject({ code: 'IMAGE_IN_USE' })
    expect(await store.images.list()).toMatchObject([{ used_by: ['web'] }])
  })

  test('shares its layers with one that goes, and keeps them', async () => {
    await using store = await makeImages()
    const base = sampleImage('base')
    const app = buildImage({ layers: [...base.layers, buildLayer([{ path: 'app', content: 'x' }])] })
    await load(store, base, 'base:1')
    await load(store, app, 'app:1')
    store.users.push({ name: 'web', manifestDigest: app.root.digest, isRunning: false })
    await store.images.remove('app:1', { force: true })
    const { deleted } = await store.images.remove('base:1', { force: false })
    expect(deleted).toHaveLength(2)
    await store.images.ensureLower(parseDigest(app.root.digest))
  })
})

describe('what cannot be known is not deleted', () => {
  test('sheds that cannot be read', async () => {
    const unreadable = new Problem('RECORD_INVALID', 'sheds/web/metadata.json is not JSON')
    await using store = await makeImages({ users: () => Promise.reject(unreadable) })
    await load(store, sampleImage(), 'app:1')
    const before = await allFiles(store.layout)
    await expect(store.images.remove('app:1', { force: true })).rejects.toBe(unreadable)
    expect(await allFiles(store.layout)).toEqual(before)
    expect(await store.images.list()).toHaveLength(1)
  })

  test('another image whose manifest is damaged is named, and lets nothing go', async () => {
    await using store = await makeImages()
    const damaged = sampleImage('damaged')
    await load(store, damaged, 'damaged:1')
    await load(store, sampleImage('app'), 'app:1')
    await harm(store, damaged.root.digest)
    const before = await allFiles(store.layout)
    await expect(store.images.remove('app:1', { force: false })).rejects.toMatchObject({
      code: 'RECORD_INVALID',
      message: expect.stringContaining(damaged.root.digest.slice(7, 19)),
    })
    expect(await allFiles(store.layout)).toEqual(before)
    expect(await store.images.list()).toMatchObject([
      { problem: expect.stringContaining('damaged') },
      { tags: ['app:1'] },
    ])
    await expect(store.images.catalog()).rejects.toMatchObject({ code: 'RECORD_INVALID' })
    expect(await store.images.catalog({ onDamage: 'show' })).toHaveLength(2)

    // The damaged one itself can go, and then the other.
    await store.images.remove('damaged:1', { force: false })
    await store.images.remove('app:1', { force: false })
    expect(await store.images.list()).toEqual([])
  })

  test('a shed that is pinned to a manifest that is gone', async () => {
    await using store = await makeImages()
    await load(store, sampleImage(), 'app:1')
    store.users.push({ name: 'web', manifestDigest: `sha256:${'0'.repeat(64)}`, isRunning: false })
    await expect(store.images.remove('app:1', { force: false })).rejects.toMatchObject({
      code: 'RECORD_INVALID',
      message: expect.stringContaining('shed web'),
    })
  })

  test('what an artifact of an unknown type mentions', async () => {
    await using store = await makeImages()
    const image = sampleImage()
    await load(store, image, 'app:1')
    const layer = image.layers[0]?.digest
    const artifact = Buffer.from(JSON.stringify({ deep: [{ blobs: [layer] }] }))
    const descriptor = descriptorOf(artifact, 'application/vnd.example.thing+json')
    await writeFile(store.blobs.path(parseDigest(descriptor.digest)), artifact)
    await store.blobs.updateIndex((index) => ({ ...index, entries: [...index.entries, storeIndexEntry(descriptor)] }))
    const { deleted } = await store.images.remove('app:1', { force: false })
    expect(deleted).not.toContain(layer)
    expect(deleted).toHaveLength(image.blobs.size - 1)
    expect(await store.images.list()).toEqual([])
  })
})

describe('work in flight', () => {
  test('an image that is held loses at most its name', async () => {
    await using store = await makeImages()
    const image = sampleImage()
    await load(store, image, 'app:1')
    {
      using _ = store.images.hold(parseDigest(image.root.digest))
      await expect(store.images.remove('app:1', { force: false })).rejects.toMatchObject({ code: 'IMAGE_IN_USE' })
      expect((await store.images.remove('app:1', { force: true })).deleted).toEqual([])
    }
    await store.images.resolve(image.root.digest)
    expect((await store.images.remove(image.root.digest, { force: false })).deleted).toHaveLength(image.blobs.size)
  })

  test('removing and loading the same image over and over ends with a whole image or none', async () => {
    await using store = await makeImages()
    const image = sampleImage()
    for (let round = 0; round < 8; round++) {
      await load(store, image, 'app:1')
      await Promise.all([
        store.images.remove('app:1', { force: false }),
        load(store, image, 'app:2'),
        load(store, image, 'app:3'),
      ])
      for (const tag of ['app:2', 'app:3']) {
        const { manifest } = await store.images.resolve(tag)
        for (const { digest, size } of [manifest.config, ...manifest.layers]) {
          expect(await store.blobs.isIntact(digest, size)).toBe(true)
        }
        await store.images.remove(tag, { force: false })
      }
      expect((await allFiles(store.layout)).filter(isDerivedOrBlob)).toEqual([])
    }
  })

  test('an image that is held and let go while its removal is planned may have a shed now, and stays', async () => {
    const image = sampleImage()
    const digest = parseDigest(image.root.digest)
    await using store = await makeImages({
      users: async () => {
        using _ = store.images.hold(digest)
        return []
      },
    })
    await load(store, image, 'app:1')
    await expect(store.images.remove('app:1', { force: false })).rejects.toMatchObject({ code: 'IMAGE_IN_USE' })
    await store.images.resolve('app:1')
  })
})

describe('a plan', () => {
  test('counts each file once, seen as if what comes before were gone', async () => {
    await using store = await makeImages()
    const base = sampleImage('base')
    const app = buildImage({ layers: [...base.layers, buildLayer([{ path: 'app', content: noise(9000) }])] })
    await load(store, base, 'base:1')
    await load(store, app, 'app:1')
    store.users.push({ name: 'web', manifestDigest: app.root.digest, isRunning: false })
    const images = [parseDigest(base.root.digest), parseDigest(app.root.digest)]

    const now = await store.images.planRemovals({ images })
    expect(now.map(({ usedBy, files }) => [usedBy, files.length])).toEqual([
      [[], 2],
      [['web'], 0],
    ])
    const later = await store.images.planRemovals({ images, withoutUsers: new Set(['web']) })
    const paths = later.flatMap(({ files }) => files.map(({ path }) => path.slice(store.layout.root.length + 1)))
    expect(paths.sort()).toEqual((await allFiles(store.layout)).filter(isDerivedOrBlob))
    expect(later.map(({ files }) => files.length)).toEqual([2, paths.length - 2])
  })
})

async function harm(store: Store, text: string): Promise<void> {
  const path = store.blobs.path(parseDigest(text))
  await chmod(path, 0o644)
  const bytes = await readFile(path)
  await rm(path)
  bytes[5] = (bytes[5] ?? 0) ^ 1
  await writeFile(path, bytes)
}
