import { writeFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { buildImage, buildIndex, buildLayer, ociArchive } from '../../test/support/image-builder.ts'
import { makeImages, pair, sampleImage, streamOf } from './images.testkit.ts'

const layers = [buildLayer([{ path: 'a', content: 'a' }]), buildLayer([{ path: 'b', content: 'b' }])]
const history = [
  { created: '2024-05-01T12:00:00.5Z', created_by: 'ADD a', comment: 'buildkit', author: 'me' },
  { created: '2024-05-01T12:00:01Z', created_by: 'ENV X=1', empty_layer: true },
  { created: 'yesterday', created_by: 'ADD b', empty_layer: false },
]

test('the newest step is first, and each says which layer it made', async () => {
  await using store = await makeImages()
  const image = buildImage({ layers, configExtra: { history } })
  await store.images.load({ source: { stream: streamOf(ociArchive(pair(image))) } })
  const made = (number: number) => ({
    layer: number,
    digest: layers[number - 1]?.digest,
    diff_id: layers[number - 1]?.diffId,
    size_bytes: layers[number - 1]?.blob.length,
    empty_layer: false,
  })
  expect(await store.images.history('app:1')).toEqual({
    manifest_digest: image.root.digest,
    history: [
      { ...made(2), created_by: 'ADD b' },
      { size_bytes: 0, created_at: '2024-05-01T12:00:01.000Z', created_by: 'ENV X=1', empty_layer: true },
      { ...made(1), created_at: '2024-05-01T12:00:00.500Z', created_by: 'ADD a', comment: 'buildkit', author: 'me' },
    ],
  })
})

test('a history that does not fit the layers is told as it is, with the layers after it', async () => {
  await using store = await makeImages()
  const image = buildImage({ layers, configExtra: { history: history.slice(0, 2) } })
  await store.images.load({ source: { stream: streamOf(ociArchive(pair(image))) } })
  const reply = await store.images.history('app:1')
  expect(reply.problem).toMatch(/1 steps that made a layer, and there are 2 layers/)
  expect(reply.history.map(({ layer, created_by }) => layer ?? created_by)).toEqual([2, 1, 'ENV X=1', 'ADD a'])
})

test("of an index it is the history of this host's image, and its documents are those that were stored", async () => {
  await using store = await makeImages()
  const index = buildIndex([sampleImage('other', { image: { architecture: 's390x' } }), sampleImage()])
  await store.images.load({ source: { stream: streamOf(ociArchive(pair(index))) } })
  expect((await store.images.history('app:1')).manifest_digest).toBe(sampleImage().root.digest)
  expect(await store.images.document('app:1', 'root')).toEqual(index.blobs.get(index.root.digest))
  expect(await store.images.document('app:1', 'config')).toEqual(sampleImage().config)
  await writeFile(`${store.layout.blobs}/sha256/${index.root.digest.slice(7)}`, 'rotten', { flag: 'r+' })
  await expect(store.images.document('app:1', 'root')).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
})
