import { createHash } from 'node:crypto'
import { mkdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  archiveOf,
  type BuiltRoot,
  buildImage,
  buildIndex,
  buildLayer,
  descriptorOf,
  digestOf,
  dockerArchive,
  layoutFiles,
  noise,
  ociArchive,
  type Tagged,
  writeLayout,
} from '../../test/support/image-builder.ts'
import { storeAsZstd } from '../../test/support/store-as-zstd.ts'
import { buildTar } from '../../test/support/tar-builder.ts'
import { isProblem } from '../base/index.ts'
import { allFiles, makeImages, sampleImage, streamOf } from './images.testkit.ts'
import { unpackLayer } from './lowers/unpack-layer.ts'

const pair = (image: BuiltRoot, ref = 'app:1'): Tagged[] => [{ image, ref }]

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
        expect(await allFiles(store.layout)).toContain(`cache/erofs-v1/layers/${diffId.slice(7)}.data`)
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

describe('names', () => {
  test.each<[string, { ref?: string; annotations?: Record<string, string> }, string]>([
    ['a reference in full', { ref: 'docker.io/library/debian:12' }, 'debian:12'],
    ['a reference without tag', { ref: 'quay.io/team/app' }, 'quay.io/team/app:latest'],
    ['a tag alone, which belongs to the name of the file', { ref: '12' }, 'myapp:12'],
    [
      'what containerd writes',
      { ref: '12', annotations: { 'io.containerd.image.name': 'docker.io/x/y:12' } },
      'x/y:12',
    ],
  ])('%s', async (_, names, tag) => {
    await using store = await makeImages()
    await writeFile(store.path('MyApp.oci.tar'), ociArchive([{ image: sampleImage(), ...names }]))
    const [loaded] = await store.images.load({ source: { path: store.path('MyApp.oci.tar') } })
    expect(loaded?.tags).toEqual([tag])
  })

  test.each<[string, Tagged]>([
    ['no name', { image: sampleImage() }],
    ['only a tag, from a stream', { image: sampleImage(), ref: '12' }],
    ['a name that is no reference', { image: sampleImage(), ref: 'a:b:c' }],
    ['a name with escape sequences', { image: sampleImage(), ref: 'a:\u001b[31m' }],
  ])('%s: asks for --tag, and takes it', async (_, tagged) => {
    await using store = await makeImages()
    const bytes = ociArchive([tagged])
    await expect(store.images.load({ source: { stream: streamOf(bytes) } })).rejects.toMatchObject({
      code: 'INVALID_REQUEST',
      hint: expect.stringContaining('--tag'),
    })
    expect(await store.images.list()).toEqual([])
    const [loaded] = await store.images.load({ source: { stream: streamOf(bytes) }, tag: 'mine' })
    expect(loaded?.tags).toEqual(['mine:latest'])
  })

  test('one --tag for several images is refused', async () => {
    await expectRefused(
      ociArchive([...pair(sampleImage('a'), 'a:1'), ...pair(sampleImage('b'), 'b:1')]),
      'INVALID_REQUEST',
      'mine:1',
    )
  })

  test('a --tag that is none is refused', async () => {
    await expectRefused(ociArchive(pair(sampleImage())), 'INVALID_REQUEST', 'Not A Tag')
  })

  test('a tag that moves leaves the old image without a name', async () => {
    await using store = await makeImages()
    const [old, young] = [sampleImage('old'), sampleImage('young')]
    for (const image of [old, young]) await store.images.load({ source: { stream: streamOf(ociArchive(pair(image))) } })
    expect((await store.images.list()).map(({ tags, digest }) => [tags, digest])).toEqual([
      [[], old.root.digest],
      [['app:1'], young.root.digest],
    ])
    expect((await store.images.resolve(old.root.digest)).manifestDigest).toBe(old.root.digest)
  })
})

describe('platforms', () => {
  const here = sampleImage('here')
  const there = sampleImage('there', { image: { architecture: 'sparc64' } })
  const attestation: BuiltRoot = { ...sampleImage('proof'), platform: { os: 'unknown', architecture: 'unknown' } }

  test('an index that is all there is kept as it is', async () => {
    await using store = await makeImages()
    const index = buildIndex([there, attestation, here])
    const [loaded] = await store.images.load({ source: { stream: streamOf(ociArchive(pair(index))) } })
    expect(loaded).toMatchObject({ digest: index.root.digest, manifest_digest: here.root.digest })
    for (const digest of index.blobs.keys()) expect(await store.blobs.has(digest as never)).toBe(true)
    // Of other platforms nothing is unpacked.
    expect((await allFiles(store.layout)).filter((path) => path.endsWith('.data'))).toHaveLength(2)
  })

  test('of an index whose other platforms are missing this one is kept, under the same name', async () => {
    await using store = await makeImages()
    const index = buildIndex([there, here])
    for (const digest of there.blobs.keys()) index.blobs.delete(digest)
    const [loaded] = await store.images.load({ source: { stream: streamOf(ociArchive(pair(index))) } })
    expect(loaded).toMatchObject({ tags: ['app:1'], digest: here.root.digest })
  })

  test('an index inside an index', async () => {
    await using store = await makeImages()
    const index = buildIndex([buildIndex([there, here])])
    const [loaded] = await store.images.load({ source: { stream: streamOf(ociArchive(pair(index))) } })
    expect(loaded?.manifest_digest).toBe(here.root.digest)
  })

  test('members of a layout with one name for several platforms: this host gets the name', async () => {
    await using store = await makeImages()
    const members = [there, here].map((image) => ({ image, ref: 'app:1' }))
    const files = layoutFiles(members).map((file) =>
      file.path === 'index.json' ? { ...file, content: withPlatforms(file.content, [there, here]) } : file,
    )
    const loaded = await store.images.load({ source: { stream: streamOf(archiveOf(files)) } })
    expect(loaded.map(({ tags, digest }) => [tags, digest])).toEqual([[['app:1'], here.root.digest]])
  })

  test('an index with nothing for this host is refused', async () => {
    await expectRefused(ociArchive(pair(buildIndex([there]))), 'PLATFORM_NOT_FOUND')
  })

  test('an image of another processor is refused', async () => {
    await expectRefused(ociArchive(pair(there)), 'PLATFORM_NOT_FOUND')
  })

  test('an index whose image for this host is not whole is refused', async () => {
    const index = buildIndex([there, here])
    index.blobs.delete(here.layers[0]?.digest ?? '')
    await expectRefused(ociArchive(pair(index)), 'BLOB_NOT_FOUND')
  })
})

describe('what is refused leaves nothing', () => {
  const image = sampleImage()
  const archive = ociArchive(pair(image))
  const changed = (path: RegExp, change: (content: Buffer) => Buffer) =>
    archiveOf(
      layoutFiles(pair(image)).map((file) =>
        path.test(file.path) ? { ...file, content: change(file.content) } : file,
      ),
    )
  const layerPath = new RegExp(image.layers[0]?.digest.slice(7) ?? '')
  const withManifest = (manifestExtra: object) => ociArchive(pair(sampleImage('x', { image: { manifestExtra } })))

  test.each<[string, string, Buffer]>([
    ['nothing', 'COMPRESSION_INVALID|IMAGE_INVALID|TAR_INVALID', Buffer.alloc(0)],
    ['noise', 'TAR_INVALID', noise(5000)],
    ['text', 'TAR_INVALID', Buffer.from('hello\n'.repeat(300))],
    [
      'an archive of thousands of files',
      'IMAGE_INVALID',
      buildTar(Array.from({ length: 5001 }, (_, i) => ({ path: `usr/${i}`, content: '' }))),
    ],
    ['an archive of a root filesystem', 'IMAGE_INVALID', buildTar([{ path: 'etc/passwd', content: 'root' }])],
    ['an xz archive', 'IMAGE_UNSUPPORTED', Buffer.concat([Buffer.from('fd377a585a00', 'hex'), noise(100)])],
    ['an archive cut off in a blob', 'TAR_INVALID', archive.subarray(0, archive.length - 4000)],
    ['a gzip archive cut off', 'COMPRESSION_INVALID', gzipSync(archive).subarray(0, -30)],
    ['a zstd archive cut off', 'COMPRESSION_INVALID', storeAsZstd(archive).subarray(0, -3000)],
    ['an index.json without oci-layout', 'IMAGE_INVALID', archiveOf(layoutFiles(pair(image)).slice(1))],
    ['an oci-layout without index.json', 'IMAGE_INVALID', archiveOf(layoutFiles(pair(image)).slice(0, 1))],
    [
      'a layout of version 2',
      'IMAGE_UNSUPPORTED',
      changed(/oci-layout/, () => Buffer.from('{"imageLayoutVersion":"2.0.0"}')),
    ],
    ['an index.json of nothing', 'IMAGE_INVALID', changed(/index.json/, () => Buffer.from('{"schemaVersion":2}'))],
    ['an index.json of 9 MiB', 'LIMIT_EXCEEDED', changed(/index.json/, () => Buffer.alloc(9 * 2 ** 20, ' '))],
    ['a layer with a byte changed', 'DIGEST_MISMATCH', changed(layerPath, flipped)],
    [
      'a layer with a byte more',
      'DIGEST_MISMATCH',
      changed(layerPath, (content) => Buffer.concat([content, Buffer.alloc(1)])),
    ],
    [
      'a layer missing',
      'BLOB_NOT_FOUND',
      archiveOf(layoutFiles(pair(image)).filter(({ path }) => !layerPath.test(path))),
    ],
    [
      'a descriptor with another size',
      'SIZE_MISMATCH',
      ociArchive(
        pair(
          buildImage({
            layers: image.layers,
            manifestExtra: { layers: image.layers.map(({ blob }) => tooLong(blob)) },
          }),
        ),
      ),
    ],
    [
      'one layer less than diff_ids',
      'IMAGE_INVALID',
      ociArchive(
        pair(buildImage({ layers: [], configExtra: { rootfs: { type: 'layers', diff_ids: [digestOf(noise(1))] } } })),
      ),
    ],
    [
      'a diff_id that is another',
      'DIGEST_MISMATCH',
      ociArchive(
        pair(
          sampleImage('x', {
            image: { configExtra: { rootfs: { type: 'layers', diff_ids: [digestOf(noise(1)), digestOf(noise(2))] } } },
          }),
        ),
      ),
    ],
    ['manifests beside layers', 'IMAGE_INVALID', withManifest({ manifests: [] })],
    [
      'a manifest that says it is an index',
      'IMAGE_INVALID',
      withManifest({ mediaType: 'application/vnd.oci.image.index.v1+json' }),
    ],
    ['a manifest of schema 1', 'IMAGE_UNSUPPORTED', withManifest({ schemaVersion: 1 })],
    ['a helm chart', 'IMAGE_UNSUPPORTED', ociArchive(pair(chart()))],
    ['a layer that is no tar', 'TAR_INVALID', ociArchive(pair(buildImage({ layers: [buildLayer(noise(3000))] })))],
    ['a layer that is cut off', 'COMPRESSION_INVALID', ociArchive(pair(cutLayer()))],
    [
      'a blob that is a symlink to the host',
      'BLOB_NOT_FOUND',
      archiveOf(
        layoutFiles(pair(image)).map((file) =>
          layerPath.test(file.path) ? { ...file, linkTarget: '/etc/passwd' } : file,
        ),
      ),
    ],
    [
      'a sparse file of a terabyte',
      'LIMIT_EXCEEDED',
      buildTar([{ path: 'layer.tar', sparse: { form: 'gnu', realSize: 8 * 2 ** 30, segments: [] } }]),
    ],
  ])('%s: %s', async (_, codes, bytes) => {
    await expectRefused(bytes, codes)
  })

  test('an archive with any bytes overwritten: it is the same image, or nothing', async () => {
    await using store = await makeImages()
    await store.images.load({ source: { stream: streamOf(ociArchive(pair(sampleImage('before'), 'before:1'))) } })
    const before = await allFiles(store.layout)
    const property = fc.asyncProperty(
      fc.nat(archive.length - 1),
      fc.uint8Array({ minLength: 1, maxLength: 600 }),
      async (at, garbage) => {
        const bytes = Buffer.from(archive)
        bytes.set(garbage.subarray(0, bytes.length - at), at)
        try {
          await store.images.load({ source: { stream: streamOf(bytes) }, tag: 'app:1' })
          expect((await store.images.resolve('app:1')).manifestDigest).toBe(image.root.digest)
          await store.images.remove('app:1', { force: false })
        } catch (error) {
          if (!isProblem(error)) throw error
        }
        expect(await allFiles(store.layout)).toEqual(before)
      },
    )
    await fc.assert(property, { numRuns: 60 })
  })

  test('a stream that breaks off', async () => {
    await using store = await makeImages()
    const broken = (async function* () {
      yield archive.subarray(0, 3000)
      throw new Error('connection reset')
    })()
    const before = await allFiles(store.layout)
    await expect(store.images.load({ source: { stream: broken } })).rejects.toThrow(/connection reset/)
    expect(await allFiles(store.layout)).toEqual(before)
  })

  test('a load that is cancelled while it copies, and one while it unpacks', async () => {
    await using store = await makeImages({ unpackLayer })
    const before = await allFiles(store.layout)
    for (const phase of ['copy', 'unpack']) {
      const controller = new AbortController()
      const attempt = store.images.load({
        source: { stream: streamOf(archive) },
        onProgress: (progress) => progress.phase === phase && controller.abort(),
        signal: controller.signal,
      })
      await expect(attempt).rejects.toMatchObject({ code: 'CANCELLED' })
      expect(await allFiles(store.layout)).toEqual(before)
    }
  })

  test('the second of two images, and so the first one too', async () => {
    const bad = sampleImage('bad', {
      image: { configExtra: { rootfs: { type: 'layers', diff_ids: [digestOf(noise(1)), digestOf(noise(2))] } } },
    })
    await expectRefused(ociArchive([...pair(image), ...pair(bad, 'bad:1')]), 'DIGEST_MISMATCH')
  })

  test('a directory that is no layout, a device, a path that is not there', async () => {
    await using store = await makeImages()
    await mkdir(store.path('empty'))
    const codes = { empty: 'IMAGE_INVALID', nowhere: 'FILE_NOT_FOUND', zero: 'INVALID_REQUEST' }
    await symlink('/dev/zero', store.path('zero'))
    for (const [name, code] of Object.entries(codes)) {
      await expect(store.images.load({ source: { path: store.path(name) } })).rejects.toMatchObject({ code })
    }
  })

  test('a layout directory with a blob missing, cut short, damaged', async () => {
    for (const [harm, code] of [
      [(path: string) => rm(path), 'BLOB_NOT_FOUND'],
      [(path: string) => truncate(path, 10), 'SIZE_MISMATCH'],
      [async (path: string) => writeFile(path, flipped(await readFile(path))), 'DIGEST_MISMATCH'],
    ] as const) {
      await using store = await makeImages()
      await writeLayout(store.path('layout'), pair(image))
      await harm(store.path(`layout/blobs/sha256/${image.layers[1]?.digest.slice(7)}`))
      const before = await allFiles(store.layout)
      await expect(store.images.load({ source: { path: store.path('layout') } })).rejects.toMatchObject({ code })
      expect(await allFiles(store.layout)).toEqual(before)
    }
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

/** Expects a load to fail with one of some codes (`A|B`), and the store to be as it was. */
async function expectRefused(bytes: Buffer, codes: string, tag?: string): Promise<void> {
  await using store = await makeImages()
  await store.images.load({ source: { stream: streamOf(ociArchive(pair(sampleImage('before'), 'before:1'))) } })
  const [files, index] = [await allFiles(store.layout), await readFile(store.layout.imageIndex, 'utf8')]
  const error = await store.images.load({ source: { stream: streamOf(bytes) }, tag }).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(codes.split('|')).toContain((error as { code?: string } | undefined)?.code)
  expect(await allFiles(store.layout)).toEqual(files)
  expect(await readFile(store.layout.imageIndex, 'utf8')).toBe(index)
}

function flipped(content: Buffer): Buffer {
  const copy = Buffer.from(content)
  copy[20] = (copy[20] ?? 0) ^ 1
  return copy
}

function withPlatforms(index: Buffer, images: readonly BuiltRoot[]): Buffer {
  const document = JSON.parse(index.toString())
  document.manifests.forEach((member: { platform?: object }, i: number) => {
    member.platform = images[i]?.platform ?? {}
  })
  return Buffer.from(JSON.stringify(document))
}

function tooLong(blob: Buffer) {
  return { ...descriptorOf(blob, 'application/vnd.oci.image.layer.v1.tar+gzip'), size: blob.length + 1 }
}

function mislabelled() {
  return sampleImage('sample', { layer: { mediaType: 'application/vnd.oci.image.layer.v1.tar' } })
}

function chart() {
  const config = descriptorOf(Buffer.from('{}'), 'application/vnd.cncf.helm.config.v1+json')
  const built = buildImage({ manifestExtra: { config } })
  built.blobs.set(config.digest, Buffer.from('{}'))
  return built
}

function cutLayer() {
  const layer = buildLayer([{ path: 'f', content: noise(10_000) }])
  const blob = layer.blob.subarray(0, 5000)
  return buildImage({ layers: [{ ...layer, blob, digest: digestOf(blob) }] })
}

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
