import { chmod, copyFile, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import {
  type BuiltImage,
  type BuiltRoot,
  buildImage,
  buildLayer,
  ociArchive,
} from '../../../test/support/image-builder.ts'
import { parseDigest } from '../../base/index.ts'
import { allFiles, makeImages, sampleImage, streamOf } from '../images.testkit.ts'

const [base, top, other] = ['base', 'top', 'other'].map((name) =>
  buildLayer([{ path: `etc/${name}`, content: name.repeat(2000) }]),
) as [ReturnType<typeof buildLayer>, ReturnType<typeof buildLayer>, ReturnType<typeof buildLayer>]
const a = buildImage({ layers: [base, top] })
const b = buildImage({ layers: [base, other] })

describe('the layers of an image that boots can go', () => {
  test('and it boots, is listed, and cannot be saved', async () => {
    await using store = await storeOf([a, 'a:1'])
    const lower = await readFile((await store.images.ensureLower(digestOf(a))).path)
    await drop(store, 'a:1')
    expect(await blobsOf(store)).toEqual(documentsOf(a))

    // The cache may be evicted: nothing in it is needed.
    await rm(store.layout.cache, { recursive: true })
    const kept = await store.images.ensureLower(digestOf(a))
    expect(kept).toMatchObject({ path: store.layout.keptLower(digestOf(a)), outcome: 'present' })
    expect((await readFile(kept.path)).equals(lower)).toBe(true)
    expect(await store.images.list()).toMatchObject([{ tags: ['a:1'], boot_only: true, lower_bytes: lower.length }])
    await expect(store.images.saveTo({ refs: ['a:1'], path: store.path('out.tar') })).rejects.toMatchObject({
      code: 'IMAGE_INCOMPLETE',
      hint: 'get what is missing: cowshed image pull --with-layers a:1',
    })
  })

  test('but not those that another image needs to get its lower', async () => {
    await using store = await storeOf([a, 'a:1'], [b, 'b:1'])
    await store.images.ensureLower(digestOf(a))
    const drops = await store.images.planLayerDrops()
    expect(drops.map(({ tags, files, kept }) => [tags[0], files.map(({ digest }) => digest), kept])).toEqual([
      ['a:1', [top.digest], 'another image, which has no lower yet, needs its layers'],
      ['b:1', [], 'it has no lower yet'],
    ])
    await drop(store, 'a:1')
    await store.images.ensureLower(digestOf(b))
    expect((await store.images.inspect('b:1')).boot_only).toBeUndefined()
  })

  test('a layer that two have goes from both, and both boot', async () => {
    await using store = await storeOf([a, 'a:1'], [b, 'b:1'])
    for (const image of [a, b]) await store.images.ensureLower(digestOf(image))
    await drop(store, 'a:1')
    await rm(store.layout.cache, { recursive: true })
    for (const image of [a, b]) await store.images.ensureLower(digestOf(image))
    expect((await store.images.list()).map(({ boot_only }) => boot_only)).toEqual([true, true])
  })

  test('not those of an image that work in flight holds', async () => {
    await using store = await storeOf([a, 'a:1'])
    await store.images.ensureLower(digestOf(a))
    const [planned] = await store.images.planLayerDrops()
    if (planned === undefined) throw new Error('no plan')
    using _ = store.images.hold(digestOf(a))
    await expect(store.images.dropLayers(planned)).rejects.toMatchObject({ code: 'PLAN_CHANGED' })
    expect((await store.images.planLayerDrops()).map(({ kept }) => kept)).toEqual(['work in flight uses it'])
  })

  test('a load brings them back, and then the lower is what they give', async () => {
    await using store = await storeOf([a, 'a:1'])
    await store.images.ensureLower(digestOf(a))
    await drop(store, 'a:1')
    await rm(store.layout.cache, { recursive: true })
    await store.images.load({ source: { stream: streamOf(ociArchive([{ image: a, ref: 'a:1' }])) } })
    expect((await store.images.inspect('a:1')).boot_only).toBeUndefined()
    const { ino } = await stat(store.layout.keptLower(digestOf(a)))
    const lower = await store.images.ensureLower(digestOf(a))
    expect(lower).toMatchObject({ path: store.layout.lower('plain', digestOf(a)), warnings: [] })
    // The same file, which a shed may have open, and no second one.
    expect((await stat(lower.path)).ino).toBe(ino)
    await expect(stat(store.layout.keptLower(digestOf(a)))).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('and when it is not what was kept, a person hears of it', async () => {
    await using store = await storeOf([a, 'a:1'])
    const { path, bytes } = await store.images.ensureLower(digestOf(a))
    const whole = await readFile(path)
    await drop(store, 'a:1')
    await rm(store.layout.cache, { recursive: true })
    await rm(store.layout.keptLower(digestOf(a)))
    whole.writeUInt8(whole.readUInt8(bytes - 4096) ^ 1, bytes - 4096)
    await writeFile(store.layout.keptLower(digestOf(a)), whole)
    await store.images.load({ source: { stream: streamOf(ociArchive([{ image: a, ref: 'a:1' }])) } })
    const lower = await store.images.ensureLower(digestOf(a))
    expect(lower).toMatchObject({ path, warnings: [expect.stringContaining('not what its layers give')] })
  })

  test.each(['cache', 'kept'] as const)(
    'not when the lower of the %s, by then the only copy, is not what they give; a repair mends it',
    async (place) => {
      await using store = await storeOf([a, 'a:1'])
      const { path } = await store.images.ensureLower(digestOf(a))
      const whole = await readFile(path)
      if (place === 'kept') {
        await mkdir(store.layout.keptLowers)
        await copyFile(path, store.layout.keptLower(digestOf(a)))
      }
      await rot(place === 'kept' ? store.layout.keptLower(digestOf(a)) : path)
      const before = await blobsOf(store)
      await expect(drop(store, 'a:1')).rejects.toMatchObject({
        code: 'EROFS_INVALID',
        message: expect.stringMatching(/lower of \w+ is not what its layers give.*cowshed image verify --repair/),
      })
      expect(await blobsOf(store)).toEqual(before)

      const { findings } = await store.images.verify({ refs: ['a:1'], repair: true })
      expect(findings).toMatchObject([{ kind: 'lower', repaired: true }])
      await drop(store, 'a:1')
      expect((await readFile(store.layout.keptLower(digestOf(a)))).equals(whole)).toBe(true)
    },
  )

  test('though the cache of one is damaged, which is made again first', async () => {
    await using store = await storeOf([a, 'a:1'])
    const { path } = await store.images.ensureLower(digestOf(a))
    const whole = await readFile(path)
    await rot(store.layout.layerData(parseDigest(top.diffId)))
    await drop(store, 'a:1')
    expect((await readFile(store.layout.keptLower(digestOf(a)))).equals(whole)).toBe(true)
  })

  test('not when one of them is lost, without which nobody can tell whether the lower is right', async () => {
    await using store = await storeOf([a, 'a:1'])
    await store.images.ensureLower(digestOf(a))
    await rm(store.layout.blob(parseDigest(top.digest)))
    await rm(store.layout.layerIndex(parseDigest(top.diffId)))
    await expect(drop(store, 'a:1')).rejects.toMatchObject({ code: 'IMAGE_INCOMPLETE' })
    expect(await blobsOf(store)).toContain(base.digest)
  })

  test('with the image, all that it kept goes', async () => {
    await using store = await storeOf([a, 'a:1'])
    const before = await allFiles(store.layout)
    await store.images.ensureLower(digestOf(a))
    await drop(store, 'a:1')
    await store.images.remove('a:1', { force: false })
    expect(await allFiles(store.layout)).toEqual(
      before.filter((name) => !name.startsWith('blobs/') && !name.startsWith('cache/')),
    )
  })
})

describe('an image that has neither its layers nor a lower', () => {
  test('says so, and what to type', async () => {
    await using store = await storeOf([a, 'a:1'])
    await rm(store.layout.cache, { recursive: true })
    await rm(store.layout.blob(parseDigest(base.digest)))
    await expect(store.images.ensureLower(digestOf(a))).rejects.toMatchObject({ code: 'IMAGE_INCOMPLETE' })
    await writeFile(store.layout.blob(parseDigest(base.digest)), 'short')
    await expect(store.images.ensureLower(digestOf(a))).rejects.toMatchObject({ code: 'IMAGE_INCOMPLETE' })
  })

  test('a kept lower that is damaged is none', async () => {
    await using store = await storeOf([sampleImage(), 'a:1'])
    const digest = digestOf(sampleImage())
    await store.images.ensureLower(digest)
    await drop(store, 'a:1')
    await rm(store.layout.cache, { recursive: true })
    await rm(store.layout.keptLower(digest))
    await writeFile(store.layout.keptLower(digest), Buffer.alloc(4096))
    await expect(store.images.ensureLower(digest)).rejects.toMatchObject({ code: 'IMAGE_INCOMPLETE' })
  })
})

type Store = Awaited<ReturnType<typeof makeImages>>

async function storeOf(...images: (readonly [BuiltRoot, string])[]): Promise<Store> {
  const store = await makeImages()
  const tagged = images.map(([image, ref]) => ({ image, ref }))
  await store.images.load({ source: { stream: streamOf(ociArchive(tagged)) } })
  return store
}

async function drop({ images }: Store, tag: string): Promise<void> {
  const planned = (await images.planLayerDrops()).find(({ tags }) => tags.includes(tag))
  if (planned === undefined) throw new Error(`no image ${tag}`)
  expect(await images.dropLayers(planned)).toBeGreaterThan(0)
}

function digestOf(image: BuiltRoot) {
  return parseDigest(image.root.digest)
}

async function blobsOf({ blobs }: Store): Promise<string[]> {
  return (await blobs.list()).map(({ digest }) => digest)
}

/** In the last block, which nothing but the content of a file is in. */
async function rot(path: string): Promise<void> {
  const bytes = await readFile(path)
  const at = bytes.length - 4096
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at)
  await chmod(path, 0o644)
  await writeFile(path, bytes)
}

/** The manifest and the config. */
function documentsOf(image: BuiltImage): string[] {
  const layers = new Set(image.layers.map(({ digest }) => digest))
  return [...image.blobs.keys()].filter((digest) => !layers.has(digest)).sort()
}
