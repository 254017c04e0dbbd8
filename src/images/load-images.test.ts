import { createHash } from 'node:crypto'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import {
  buildImage,
  buildLayer,
  descriptorOf,
  dockerArchive,
  layoutFiles,
  ociArchive,
  writeLayout,
} from '../../test/support/image-builder.ts'
import { storeAsZstd } from '../../test/support/store-as-zstd.ts'
import { allFiles, makeImages, pair, sampleImage, streamOf } from './images.testkit.ts'
import { unpackLayer } from './lowers/unpack-layer.ts'

describe('what can be loaded', () => {
  const image = sampleImage()
  const archive = ociArchive(pair(image))
  test.each<[string, Buffer]>([
    ['an OCI archive', archive],
    ['one whose members begin with ./', ociArchive(pair(image), { prefix: './' })],
    ['one in reverse order', ociArchive(pair(image), { reverse: true })],
    ['one compressed with gzip', gzipSync(archive)],
    ['one compressed with zstd', storeAsZstd(archive)],
    ['one of plain layers', ociArchive(pair(sampleImage('sample', { layer: { compression: 'none' } })))],
    ['one of zstd layers', ociArchive(pair(sampleImage('sample', { layer: { compression: 'zstd' } })))],
    ['one of Docker types', ociArchive(pair(sampleImage('sample', { image: { family: 'docker' } })))],
    ['one whose layers say they are plain and are gzip', ociArchive(pair(mislabelled()))],
    ['a docker archive', dockerArchive([{ image: sampleImage(), repoTags: ['app:1'] }])],
    ['a docker archive compressed with gzip', gzipSync(dockerArchive([{ image, repoTags: ['app:1'] }]))],
  ])('%s', async (_, bytes) => {
    await using store = await makeImages()
    await writeFile(store.path('app.tar'), bytes)
    for (const source of [{ path: store.path('app.tar') }, { stream: streamOf(bytes, 1000) }]) {
      const [loaded] = await store.images.load({ source })
      expect(loaded).toMatchObject({ tags: ['app:1'], layers: 2, used_by: [] })
      const { config, manifestDigest } = await store.images.resolve('app:1')
      expect(manifestDigest).toBe(loaded?.manifest_digest)
      expect(config.diffIds).toEqual(image.layers.map((layer) => layer.diffId))
      for (const { diffId } of image.layers) {
        expect(await allFiles(store.layout)).toContain(`cache/erofs-v2/layers/${diffId.slice(7)}.data`)
      }
    }
    expect(await store.images.list()).toHaveLength(1)
    expect((await allFiles(store.layout)).filter((path) => path.startsWith('staging'))).toEqual([])
  })

  test('an OCI layout directory, which is left as it is', async () => {
    await using store = await makeImages()
    await writeLayout(store.path('layout'), pair(image, 'registry.example:5000/team/app:v1'))
    const [loaded] = await store.images.load({ source: { path: store.path('layout') } })
    expect(loaded).toMatchObject({ tags: ['registry.example:5000/team/app:v1'], digest: image.root.digest })
    for (const { path, content } of layoutFiles(pair(image, 'registry.example:5000/team/app:v1'))) {
      expect(await readFile(store.path(`layout/${path}`))).toEqual(content)
    }
  })

  test('several images with shared layers, unpacked on threads of their own', async () => {
    await using store = await makeImages({ unpackLayer })
    const other = buildImage({ layers: [...image.layers, buildLayer([{ path: 'more', content: 'x' }])] })
    const bytes = ociArchive([...pair(image), { image: other, ref: 'other:2' }, { image, ref: 'app:latest' }])
    const loaded = await store.images.load({ source: { stream: streamOf(bytes) } })
    expect(loaded.map(({ tags }) => tags)).toEqual([['app:1', 'app:latest'], ['other:2']])
  })

  test('an image of an empty layer, and one of none', async () => {
    await using store = await makeImages()
    const empty = buildImage({ layers: [buildLayer(Buffer.alloc(1024))] })
    const bytes = ociArchive([...pair(empty, 'empty:1'), { image: buildImage(), ref: 'none:1' }])
    const loaded = await store.images.load({ source: { stream: streamOf(bytes) } })
    expect(loaded.map(({ layers }) => layers)).toEqual([1, 0])
  })

  test('an image with 127 layers', async () => {
    await using store = await makeImages({ unpackLayer: async () => 'present' })
    const layers = Array.from({ length: 127 }, (_, i) => buildLayer([{ path: `f${i}`, content: `${i}` }]))
    const [loaded] = await store.images.load({ source: { stream: streamOf(ociArchive(pair(buildImage({ layers })))) } })
    expect(loaded?.layers).toBe(127)
  })

  test('an image with a sha512 blob', async () => {
    await using store = await makeImages()
    const layer = buildLayer([{ path: 'f', content: 'x' }])
    const digest = `sha512:${createHash('sha512').update(layer.blob).digest('hex')}`
    const descriptor = { ...descriptorOf(layer.blob, 'application/vnd.oci.image.layer.v1.tar+gzip'), digest }
    const strong = buildImage({ layers: [layer], manifestExtra: { layers: [descriptor] } })
    strong.blobs.delete(layer.digest)
    strong.blobs.set(digest, layer.blob)
    await store.images.load({ source: { stream: streamOf(ociArchive(pair(strong))) } })
    expect((await store.images.inspect('app:1')).layer_list[0]?.digest).toBe(digest)
  })
})

describe('what is in the store already', () => {
  test('is not written again, and is repaired when it is damaged', async () => {
    await using store = await makeImages()
    const image = sampleImage()
    const load = () => store.images.load({ source: { stream: streamOf(ociArchive(pair(image))) } })
    await load()
    const path = store.blobs.path((await store.images.resolve('app:1')).manifest.layers[0]?.digest as never)
    const good = await readFile(path)
    await rm(path)
    await writeFile(path, flipped(good))
    const copied: string[] = []
    await store.images.load({
      source: { stream: streamOf(ociArchive(pair(image))) },
      onProgress: ({ phase, item }) => phase === 'copy' && copied.push(item ?? ''),
    })
    expect(new Set(copied)).toEqual(new Set([image.layers[0]?.digest.slice(7, 19)]))
    expect(await readFile(path)).toEqual(good)
  })

  test('completes an archive that lacks it', async () => {
    await using store = await makeImages()
    const image = sampleImage()
    await store.images.load({ source: { stream: streamOf(ociArchive(pair(image))) } })
    const thin = { ...image, blobs: new Map([...image.blobs].filter(([digest]) => digest === image.root.digest)) }
    const [loaded] = await store.images.load({ source: { stream: streamOf(ociArchive(pair(thin, 'again:1'))) } })
    expect(loaded?.tags).toEqual(['again:1', 'app:1'])
  })

  test('is not harmed by a second load of the same that fails at the same time', async () => {
    await using store = await makeImages({ unpackLayer })
    const image = sampleImage()
    const controller = new AbortController()
    const good = store.images.load({ source: { stream: streamOf(ociArchive(pair(image))) } })
    const bad = store.images.load({
      source: { stream: streamOf(ociArchive(pair(image, 'other:1'))) },
      onProgress: ({ phase, done }) => phase === 'unpack' && done > 0 && controller.abort(),
      signal: controller.signal,
    })
    await Promise.allSettled([good, bad])
    await good
    const { manifest } = await store.images.resolve('app:1')
    for (const { digest, size } of [manifest.config, ...manifest.layers]) {
      expect(await store.blobs.isIntact(digest, size)).toBe(true)
    }
  })
})

function mislabelled() {
  return sampleImage('sample', { layer: { mediaType: 'application/vnd.oci.image.layer.v1.tar' } })
}

function flipped(content: Buffer): Buffer {
  const copy = Buffer.from(content)
  copy[20] = (copy[20] ?? 0) ^ 1
  return copy
}
