import { describe, expect, test } from 'vitest'
import {
  archiveOf,
  buildImage,
  buildLayer,
  digestOf,
  dockerArchive,
  layoutFiles,
} from '../../test/support/image-builder.ts'
import { expectRefused, makeImages, sampleImage, streamOf } from './images.testkit.ts'

describe('docker archives', () => {
  test('become the same image whatever compressed their layers', async () => {
    const digests: (string | undefined)[] = []
    for (const compression of ['none', 'gzip', 'zstd'] as const) {
      await using store = await makeImages()
      const bytes = dockerArchive([{ image: sampleImage('a', { layer: { compression } }), repoTags: ['app:1'] }])
      const [loaded] = await store.images.load({ source: { stream: streamOf(bytes) } })
      digests.push(loaded?.digest)
    }
    expect(new Set(digests).size).toBe(1)
    expect(digests[0]).toMatch(/^sha256:/)
  })

  test('keep the config as it is, and plain layers under their diff_ids', async () => {
    await using store = await makeImages()
    const image = sampleImage()
    await store.images.load({ source: { stream: streamOf(dockerArchive([{ image, repoTags: ['app:1'] }])) } })
    const detail = await store.images.inspect('app:1')
    expect(detail.config_digest).toBe(digestOf(image.config))
    expect(detail.layer_list.map(({ digest }) => digest)).toEqual(image.layers.map(({ diffId }) => diffId))
  })

  test('with a layer twice, the second time as a symlink', async () => {
    await using store = await makeImages()
    const layer = buildLayer([{ path: 'f', content: 'x' }])
    const image = buildImage({ layers: [layer, layer] })
    const [loaded] = await store.images.load({
      source: { stream: streamOf(dockerArchive([{ image, repoTags: ['app:1', 'app:latest'] }])) },
    })
    expect(loaded).toMatchObject({ tags: ['app:1', 'app:latest'], layers: 2 })
  })

  test('of several images', async () => {
    await using store = await makeImages()
    const bytes = dockerArchive([
      { image: sampleImage('a'), repoTags: ['a:1'] },
      { image: sampleImage('b'), repoTags: ['docker.io/library/b:1'] },
    ])
    const loaded = await store.images.load({ source: { stream: streamOf(bytes) } })
    expect(loaded.map(({ tags }) => tags)).toEqual([['a:1'], ['b:1']])
  })

  test('that are OCI archives too are taken as these, and so keep their digests', async () => {
    await using store = await makeImages()
    const image = sampleImage()
    const [loaded] = await store.images.load({ source: { stream: streamOf(archiveOf(bothForms(image))) } })
    expect(loaded).toMatchObject({ tags: ['hello:1'], digest: image.root.digest })
  })

  test('that are OCI archives with a broken index.json count as what they still are', async () => {
    await using store = await makeImages()
    const image = sampleImage('both')
    const files = bothForms(image).map((file) =>
      file.path === 'index.json' ? { ...file, content: Buffer.from('{') } : file,
    )
    const [loaded] = await store.images.load({ source: { stream: streamOf(archiveOf(files)) } })
    expect(loaded).toMatchObject({ tags: ['hello:1'], layers: 2 })
    expect(loaded?.digest).not.toBe(image.root.digest)
  })

  test.each<[string, string, (image: ReturnType<typeof sampleImage>) => Buffer]>([
    [
      'a layer that is not what its diff_id says',
      'DIGEST_MISMATCH',
      (image) => {
        const wrong = { ...image, layers: [image.layers[0], buildLayer([{ path: 'evil', content: 'x' }])] }
        return dockerArchive([{ image: wrong as typeof image, repoTags: ['app:1'] }])
      },
    ],
    [
      'too few layers',
      'IMAGE_INVALID',
      (image) => dockerArchive([{ image: { ...image, layers: image.layers.slice(1) }, repoTags: ['app:1'] }]),
    ],
    [
      'a layer that leads out of the archive',
      'BLOB_NOT_FOUND',
      () =>
        archiveOf([{ path: 'manifest.json', content: Buffer.from('[{"Config":"../../etc/passwd","Layers":null}]') }]),
    ],
    [
      'symlinks that go round in a circle',
      'BLOB_NOT_FOUND',
      () =>
        archiveOf([
          { path: 'manifest.json', content: Buffer.from('[{"Config":"a","Layers":null}]') },
          { path: 'a', content: Buffer.alloc(0), linkTarget: 'b' },
          { path: 'b', content: Buffer.alloc(0), linkTarget: 'a' },
        ]),
    ],
    [
      'a config under the name of another',
      'DIGEST_MISMATCH',
      () =>
        archiveOf([
          { path: 'manifest.json', content: Buffer.from(`[{"Config":"${'0'.repeat(64)}.json","Layers":null}]`) },
          { path: `${'0'.repeat(64)}.json`, content: buildImage().config },
        ]),
    ],
    [
      'a manifest.json that is null',
      'IMAGE_INVALID',
      () => archiveOf([{ path: 'manifest.json', content: Buffer.from('null') }]),
    ],
    [
      'an empty manifest.json',
      'IMAGE_INVALID',
      () => archiveOf([{ path: 'manifest.json', content: Buffer.from('[]') }]),
    ],
  ])('with %s: %s', async (_, code, build) => {
    await expectRefused(build(sampleImage()), code)
  })
})

/** What docker writes from version 25 on: a layout with a manifest.json for older dockers. */
function bothForms(image: ReturnType<typeof sampleImage>) {
  const blobPath = (digest: string) => `blobs/${digest.replace(':', '/')}`
  const manifest = [
    {
      Config: blobPath(digestOf(image.config)),
      RepoTags: ['hello:1'],
      Layers: image.layers.map(({ digest }) => blobPath(digest)),
    },
  ]
  const annotations = { 'io.containerd.image.name': 'docker.io/library/hello:1' }
  return [
    ...layoutFiles([{ image, ref: '1', annotations }]),
    { path: 'manifest.json', content: Buffer.from(JSON.stringify(manifest)) },
  ]
}
