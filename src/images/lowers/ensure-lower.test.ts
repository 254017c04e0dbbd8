import { readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { type BuiltLayer, buildLayer, digestOf, noise } from '../../../test/support/image-builder.ts'
import type { DataLayout, Digest } from '../../base/index.ts'
import { ErofsReader } from '../../formats/index.ts'
import { linesOf } from '../flatten/layers.testkit.ts'
import { bottomLayer, cachedImage, otherManifest, stagingOf, topLayer } from './cached-image.testkit.ts'
import { ensureLower, findLower } from './ensure-lower.ts'
import { largeLayer, someManifest } from './lowers.testkit.ts'
import type { LayerBlob } from './unpack-layer.ts'

async function fixture(layers?: readonly BuiltLayer[]) {
  const image = await cachedImage(layers)
  const { layout, stored, heard } = image
  return {
    ...image,
    ensure: (options: { manifest?: Digest; layers?: readonly LayerBlob[]; signal?: AbortSignal } = {}) =>
      ensureLower({
        ...{ layout, manifest: someManifest, layers: stored },
        onProgress: (progress) => heard.push(progress),
        ...options,
      }),
    lower: () => readFile(layout.lower('plain', someManifest)),
  }
}

describe('a lower', () => {
  test('is built, whole and read-only, and then is present', async () => {
    await using images = await fixture()
    const { layout, heard } = images
    expect(findLower(layout, someManifest)).toBeUndefined()

    const built = await images.ensure()

    expect(built).toMatchObject({ path: layout.lower('plain', someManifest), outcome: 'built', warnings: [] })
    expect(await listTree(built.path)).toEqual(['bin', 'bin/sh', 'etc', 'etc/motd'])
    expect(await stat(built.path)).toMatchObject({ size: built.bytes, mode: 0o100444 })
    expect(await stagingOf(layout)).toEqual([])
    expect(heard.at(-1)).toMatchObject({ phase: 'lower', done: built.bytes, total: built.bytes })
    expect(images.unpacked().length).toBe(2)
    expect(findLower(layout, someManifest)).toMatchObject({ outcome: 'present' })
    expect(await images.ensure()).toMatchObject({ outcome: 'present', bytes: built.bytes })
    expect(images.unpacked().length).toBe(2)
  })

  test('of another image unpacks only layers that are new', async () => {
    await using images = await fixture()
    await images.ensure({ layers: images.stored.slice(0, 1) })
    await images.ensure({ manifest: otherManifest })
    expect(images.unpacked()).toEqual([bottomLayer, topLayer].map(({ diffId }) => diffId.slice(7, 19)))
  })

  test('is built once for many who ask at the same time', async () => {
    await using images = await fixture()
    const all = await Promise.all([1, 2, 3, 4].map(() => images.ensure()))
    expect(new Set(all.map(({ bytes }) => bytes)).size).toBe(1)
    // Each of the four hears of each of the two layers.
    expect(images.unpacked().length).toBe(8)
    expect(await stagingOf(images.layout)).toEqual([])
  })

  test('of a manifest with the same layer twice has its data once', async () => {
    await using images = await fixture([bottomLayer])
    const once = await images.ensure()
    const twice = await images.ensure({ manifest: otherManifest, layers: [...images.stored, ...images.stored] })
    expect(twice.bytes).toBe(once.bytes)
    expect(await listTree(twice.path)).toEqual(['bin', 'bin/sh', 'etc', 'etc/passwd'])
  })

  test('leaves out the data of a layer of which nothing is left', async () => {
    const gone = buildLayer([{ path: 'tmp/big', content: noise(500_000, 'big') }])
    await using images = await fixture([bottomLayer, gone, buildLayer([{ path: '.wh.tmp' }])])
    const { bytes, path } = await images.ensure()
    expect(bytes).toBeLessThan(100_000)
    expect(await listTree(path)).toEqual(['bin', 'bin/sh', 'etc', 'etc/passwd'])
  })
})

test('what is odd about an image is said when its lower is built', async () => {
  const odd = buildLayer([
    { path: 'unknown', typeflag: 'Z' },
    { path: 'd', type: 'directory', xattrs: { 'trusted.overlay.opaque': 'y' } },
  ])
  await using images = await fixture([bottomLayer, odd, odd])
  const { warnings } = await images.ensure()
  expect(warnings).toEqual([
    expect.stringMatching(/^layer 2: .*unknown/),
    expect.stringMatching(/^layer 2: d dropped the xattr/),
    expect.stringMatching(/^layer 3: d dropped the xattr/),
  ])
})

describe('damage is noticed and repaired', () => {
  test('in the cache of layers', async () => {
    await using images = await fixture()
    const { layout } = images
    await images.ensure()
    const good = await images.lower()
    const [first, second] = [bottomLayer, topLayer].map(({ diffId }) => diffId as Digest) as [Digest, Digest]
    const damages: [string, () => Promise<void>][] = [
      ['an index with a changed byte', () => change(layout.layerIndex(first), 100)],
      ['an index that is empty', () => change(layout.layerIndex(first), 'empty')],
      [
        'the index of another layer',
        async () => change(layout.layerIndex(first), await readFile(layout.layerIndex(second))),
      ],
      ['data that is cut short', () => change(layout.layerData(second), 'empty')],
      ['data that is missing', () => rm(layout.layerData(second))],
    ]
    for (const [what, damage] of damages) {
      await damage()
      await rm(layout.lower('plain', someManifest))
      images.heard.length = 0
      expect(await images.ensure(), what).toMatchObject({ outcome: 'built' })
      expect(await images.lower(), what).toEqual(good)
      expect(images.unpacked().length, what).toBe(1)
    }
  })

  test('in the lower itself', async () => {
    await using images = await fixture()
    const { layout } = images
    const { path } = await images.ensure()
    const good = await images.lower()
    await images.ensure({ manifest: otherManifest })
    const damages = [
      2000,
      'empty',
      good.subarray(0, -4096),
      await readFile(layout.lower('plain', otherManifest)),
    ] as const
    for (const damage of damages) {
      await change(path, damage)
      expect(findLower(layout, someManifest)).toBeUndefined()
      expect(await images.ensure()).toMatchObject({ outcome: 'built' })
      expect(await images.lower()).toEqual(good)
    }
  })
})

describe('what cannot be built leaves nothing behind', () => {
  test('because a layer is not the one that the config names', async () => {
    await using images = await fixture([bottomLayer, { ...topLayer, diffId: digestOf(Buffer.from('else')) }])
    await expect(images.ensure()).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
    await expectNothing(images.layout)
  })

  test('because a layer is not there', async () => {
    await using images = await fixture()
    const layers = [...images.stored, { diffId: otherManifest, path: '/nonexistent' }]
    await expect(images.ensure({ layers })).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })
    await expectNothing(images.layout)
  })

  test('because a layer says what no filesystem can do', async () => {
    await using images = await fixture([bottomLayer, buildLayer([{ path: '../evil' }])])
    await expect(images.ensure()).rejects.toMatchObject({
      code: 'LAYER_INVALID',
      message: expect.stringMatching(/^layer 2: \.\.\/evil: /),
    })
    await expectNothing(images.layout)
  })

  test('because it was cancelled', async () => {
    await using images = await fixture([largeLayer()])
    const controller = new AbortController()
    const attempt = images.ensure({ signal: controller.signal })
    setTimeout(() => controller.abort(), 20)
    await expect(attempt).rejects.toMatchObject({ code: 'CANCELLED' })
    await expectNothing(images.layout)
    expect(await images.ensure()).toMatchObject({ outcome: 'built' })
  })
})

async function expectNothing(layout: DataLayout): Promise<void> {
  expect(await stagingOf(layout)).toEqual([])
  expect(findLower(layout, someManifest)).toBeUndefined()
}

/** @param to where a byte is changed, or what takes the place of the content */
async function change(path: string, to: number | 'empty' | Buffer): Promise<void> {
  const bytes = await readFile(path)
  if (typeof to === 'number') bytes[to] = (bytes[to] ?? 0) ^ 1
  await rm(path)
  await writeFile(path, typeof to === 'number' ? bytes : to === 'empty' ? '' : to)
  if (to === 'empty') await truncate(path, 0)
}

async function listTree(path: string): Promise<string[]> {
  const bytes = await readFile(path)
  const reader = ErofsReader.open((offset, length) => bytes.subarray(offset, offset + length), bytes.length)
  reader.verify()
  return linesOf(reader.tree()).map((line) => line.replace(/\/? .*|\/$/, ''))
}
