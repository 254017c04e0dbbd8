import { readFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { buildIndex, descriptorOf, ociArchive } from '../../test/support/image-builder.ts'
import { refNameAnnotation, storeIndexEntry } from '../blobs/index.ts'
import { makeImages, sampleImage, streamOf } from './images.testkit.ts'

async function storeOfTwo() {
  const store = await makeImages()
  const [a, b] = [sampleImage('a'), sampleImage('b')]
  const archive = ociArchive([
    { image: a, ref: 'debian:12' },
    { image: buildIndex([b]), ref: 'quay.io/team/app:v1' },
  ])
  await store.images.load({ source: { stream: streamOf(archive) } })
  return { ...store, a, b }
}

describe('an image is found', () => {
  test.each(['debian:12', 'docker.io/library/debian:12', 'index.docker.io/library/debian:12'])('as %s', async (ref) => {
    await using store = await storeOfTwo()
    expect((await store.images.resolve(ref)).manifestDigest).toBe(store.a.root.digest)
  })

  test('by its digest, by the start of it, with or without the algorithm, and by name and digest', async () => {
    await using store = await storeOfTwo()
    const { digest } = store.a.root
    for (const ref of [digest, digest.slice(7), digest.slice(0, 20), digest.slice(7, 13), `debian:12@${digest}`]) {
      expect((await store.images.resolve(ref)).manifestDigest).toBe(digest)
    }
  })

  test('by the digest of a manifest inside its index', async () => {
    await using store = await storeOfTwo()
    const { digest } = store.b.root
    expect((await store.images.resolve(digest.slice(7, 20))).manifestDigest).toBe(digest)
  })

  test('under a name that another tool wrote into the layout', async () => {
    await using store = await storeOfTwo()
    await store.blobs.updateIndex((index) => ({
      ...index,
      entries: [...index.entries, storeIndexEntry({ ...store.a.root, annotations: { [refNameAnnotation]: 'plain' } })],
    }))
    expect((await store.images.resolve('plain')).manifestDigest).toBe(store.a.root.digest)
    expect((await store.images.inspect('plain:latest')).tags).toEqual(['debian:12', 'plain:latest'])
  })

  test('first by tag, when its tag looks like digits', async () => {
    await using store = await storeOfTwo()
    const looksLikeB = store.b.root.digest.slice(7, 15)
    await store.images.tag('debian:12', looksLikeB)
    expect((await store.images.resolve(looksLikeB)).manifestDigest).toBe(store.a.root.digest)
  })
})

describe('an image is not found', () => {
  test.each(['debian', 'debian:13', 'library/debian:12', `sha256:${'0'.repeat(64)}`, '000000'])('%s', async (ref) => {
    await using store = await storeOfTwo()
    await expect(store.images.resolve(ref)).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' })
  })

  test.each(['', 'Debian', '../x', 'a b'])('%j is no reference', async (ref) => {
    await using store = await storeOfTwo()
    await expect(store.images.resolve(ref)).rejects.toMatchObject({ code: 'INVALID_REQUEST' })
  })

  test('by too few digits, or by some that several images begin with', async () => {
    await using store = await makeImages()
    const byStart = new Map<string, string>()
    let pair: readonly [string, string] | undefined
    // Two manifests whose digests begin alike, by luck; the search is the same on every run.
    const entries = Array.from({ length: 6000 }, (_, i) => sampleDescriptor(i))
    for (const { digest } of entries) {
      const other = byStart.get(digest.slice(7, 13))
      if (other !== undefined) pair = [other, digest]
      byStart.set(digest.slice(7, 13), digest)
    }
    await store.blobs.updateIndex((index) => ({ ...index, entries: entries.map(storeIndexEntry) }))
    expect(pair).toBeDefined()
    const attempt = store.images.resolve(pair?.[0].slice(7, 13) ?? '')
    await expect(attempt).rejects.toMatchObject({ code: 'INVALID_REQUEST', data: { digests: pair } })
    await expect(store.images.resolve(pair?.[0].slice(7, 12) ?? '')).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' })
  })
})

describe('a tag', () => {
  test('is given, moved, and is in index.json alone', async () => {
    await using store = await storeOfTwo()
    await store.images.tag('debian:12', 'mine')
    await store.images.tag('quay.io/team/app:v1', 'mine')
    const { manifests } = JSON.parse(await readFile(store.layout.imageIndex, 'utf8'))
    const names = manifests.map(
      (entry: { annotations?: Record<string, string> }) => entry.annotations?.[refNameAnnotation],
    )
    expect(names).toEqual(['debian:12', 'quay.io/team/app:v1', 'mine:latest'])
    expect((await store.images.resolve('mine')).manifestDigest).toBe(store.b.root.digest)
  })

  test('can be given to one platform of an index', async () => {
    await using store = await storeOfTwo()
    await store.images.tag(store.b.root.digest, 'only:here')
    expect((await store.images.inspect('only:here')).digest).toBe(store.b.root.digest)
  })

  test.each(['', 'Mine', `mine@sha256:${'0'.repeat(64)}`, 'a:b:c'])('cannot be %j', async (tag) => {
    await using store = await storeOfTwo()
    await expect(store.images.tag('debian:12', tag)).rejects.toMatchObject({ code: 'INVALID_REQUEST' })
  })
})

function sampleDescriptor(i: number) {
  return descriptorOf(Buffer.from(`manifest ${i}`), 'application/vnd.oci.image.manifest.v1+json')
}
