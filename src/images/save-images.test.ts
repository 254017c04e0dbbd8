import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { buildIndex, noise, ociArchive } from '../../test/support/image-builder.ts'
import { parseDigest } from '../base/index.ts'
import { readTarMembers } from '../formats/index.ts'
import { makeImages, sampleImage, streamOf } from './images.testkit.ts'

const a = sampleImage('a')
const b = buildIndex([sampleImage('b'), sampleImage('c', { image: { architecture: 'sparc64' } })])

async function storeOfTwo({ reverse = false } = {}) {
  const store = await makeImages()
  const tagged = [
    { image: a, ref: 'a:1' },
    { image: b, ref: 'b:1' },
  ]
  await store.images.load({
    source: { stream: streamOf(ociArchive(reverse ? tagged.reverse() : tagged, { reverse })) },
  })
  return store
}

describe('a saved archive', () => {
  test('has the same bytes from every store, whatever the order of loading and asking', async () => {
    await using one = await storeOfTwo()
    await using two = await storeOfTwo({ reverse: true })
    const first = await collect(await one.images.archive(['a:1', 'b:1']))
    expect(await collect(await two.images.archive(['b:1', 'a:1', 'a:1']))).toEqual(first)
    await one.images.saveTo({ refs: ['b:1', 'a:1'], path: one.path('out.tar') })
    expect(await readFile(one.path('out.tar'))).toEqual(first)
  })

  test('is sorted, without times and owners', async () => {
    await using store = await storeOfTwo()
    const paths: string[] = []
    for await (const { entry } of readTarMembers(await store.images.archive(['a:1']))) {
      expect([entry.mtimeSeconds, entry.uid, entry.gid]).toEqual([0, 0, 0])
      expect(entry.mode).toBe(entry.type === 'directory' ? 0o755 : 0o644)
      paths.push(entry.path.toString())
    }
    expect(paths).toEqual([...paths].sort())
    expect(paths).toHaveLength(2 + a.blobs.size + 2)
  })

  test('loads again with the same digests and all platforms', async () => {
    await using from = await storeOfTwo()
    await using to = await makeImages()
    const loaded = await to.images.load({ source: { stream: await from.images.archive(['a:1', 'b:1']) } })
    expect(loaded.map(({ tags, digest }) => [tags, digest])).toEqual([
      [['a:1'], a.root.digest],
      [['b:1'], b.root.digest],
    ])
    for (const [digest, content] of b.blobs)
      expect(await to.blobs.isIntact(parseDigest(digest), content.length)).toBe(true)
  })

  test('of an image by digest has no name', async () => {
    await using store = await storeOfTwo()
    const bytes = await collect(await store.images.archive([a.root.digest]))
    const attempt = store.images.load({ source: { stream: streamOf(bytes) } })
    await expect(attempt).rejects.toMatchObject({ code: 'INVALID_REQUEST', hint: expect.stringContaining('--tag') })
  })

  test('tells how far it is', async () => {
    await using store = await storeOfTwo()
    const seen: number[] = []
    await store.images.saveTo({
      refs: ['a:1'],
      path: store.path('out.tar'),
      onProgress: ({ phase, done }) => phase === 'save' && seen.push(done),
    })
    expect(seen.length).toBeGreaterThanOrEqual(a.blobs.size)
  })
})

describe('a save that fails leaves nothing', () => {
  test.each([
    ['an image that is not there', { refs: ['a:1', 'nothing:1'] }, 'IMAGE_NOT_FOUND'],
    ['a path that is taken', { path: 'taken' }, 'FILE_EXISTS'],
    ['a directory that is not there', { path: 'nowhere/out.tar' }, 'FILE_NOT_FOUND'],
    ['a signal', { signal: AbortSignal.abort() }, 'CANCELLED'],
  ])(
    '%s',
    async (_, { path = 'out/image.tar', ...more }: { path?: string; refs?: string[]; signal?: AbortSignal }, code) => {
      await using store = await storeOfTwo()
      await mkdir(store.path('out'))
      await writeFile(store.path('taken'), 'precious')
      const attempt = store.images.saveTo({ refs: ['a:1'], path: store.path(path), ...more })
      await expect(attempt).rejects.toMatchObject({ code })
      expect(await readdir(store.path('out'))).toEqual([])
      expect(await readFile(store.path('taken'), 'utf8')).toBe('precious')
    },
  )

  test('a blob that is missing, and one that is damaged', async () => {
    await using store = await storeOfTwo()
    const digest = parseDigest(a.layers[0]?.digest ?? '')
    const { length } = await readFile(store.blobs.path(digest))
    await mkdir(store.path('out'))
    const attempt = () => store.images.saveTo({ refs: ['a:1'], path: store.path('out/image.tar') })
    for (const [content, code] of [
      [undefined, 'IMAGE_INCOMPLETE'],
      [noise(length), 'DIGEST_MISMATCH'],
    ] as const) {
      await rm(store.blobs.path(digest), { force: true })
      if (content !== undefined) await writeFile(store.blobs.path(digest), content)
      await expect(attempt()).rejects.toMatchObject({ code })
      expect(await readdir(store.path('out'))).toEqual([])
    }
  })

  test('and what is being saved is not removed meanwhile', async () => {
    await using store = await storeOfTwo()
    const chunks: Buffer[] = []
    for await (const chunk of await store.images.archive(['a:1'])) {
      if (chunks.length === 0) await store.images.remove('a:1', { force: false })
      chunks.push(chunk)
    }
    await store.images.load({ source: { stream: streamOf(Buffer.concat(chunks)) } })
    expect((await store.images.resolve('a:1')).manifestDigest).toBe(a.root.digest)
  })
})

async function collect(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of source) chunks.push(chunk)
  return Buffer.concat(chunks)
}
