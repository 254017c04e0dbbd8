import { writeFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import {
  archiveOf,
  type BuiltRoot,
  buildIndex,
  layoutFiles,
  ociArchive,
  type Tagged,
} from '../../test/support/image-builder.ts'
import { allFiles, expectRefused, makeImages, pair, sampleImage, streamOf } from './images.testkit.ts'

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

function withPlatforms(index: Buffer, images: readonly BuiltRoot[]): Buffer {
  const document = JSON.parse(index.toString())
  document.manifests.forEach((member: { platform?: object }, i: number) => {
    member.platform = images[i]?.platform ?? {}
  })
  return Buffer.from(JSON.stringify(document))
}
