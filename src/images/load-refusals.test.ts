import { mkdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  archiveOf,
  buildImage,
  buildLayer,
  descriptorOf,
  digestOf,
  layoutFiles,
  noise,
  ociArchive,
  writeLayout,
} from '../../test/support/image-builder.ts'
import { storeAsZstd } from '../../test/support/store-as-zstd.ts'
import { buildTar } from '../../test/support/tar-builder.ts'
import { isProblem } from '../base/index.ts'
import { allFiles, expectRefused, makeImages, pair, sampleImage, streamOf } from './images.testkit.ts'
import { unpackLayer } from './lowers/unpack-layer.ts'

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

function flipped(content: Buffer): Buffer {
  const copy = Buffer.from(content)
  copy[20] = (copy[20] ?? 0) ^ 1
  return copy
}

function tooLong(blob: Buffer) {
  return { ...descriptorOf(blob, 'application/vnd.oci.image.layer.v1.tar+gzip'), size: blob.length + 1 }
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
