import { chmod, truncate } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { ociArchive } from '../../test/support/image-builder.ts'
import { makeImages, sampleImage, streamOf } from './images.testkit.ts'

test('lowers are counted, those that cannot be made again apart, and what is broken is named', async () => {
  await using store = await makeImages()
  const { images, layout } = store
  const archive = ociArchive(['a', 'b'].map((name) => ({ image: sampleImage(name), ref: `${name}:1` })))
  await images.load({ source: { stream: streamOf(archive) } })
  expect(await images.lowers()).toEqual({
    ...{ there: 0, kept: 0, broken: [] },
    ...{ kind: { profile: 'plain', form: 'whole' }, why: 'nothing else was asked for' },
  })
  const a = (await images.resolve('a:1')).manifestDigest
  const b = (await images.resolve('b:1')).manifestDigest
  const { path } = await images.ensureLower(a)
  await images.ensureLower(b)
  for (const planned of await images.planLayerDrops()) {
    if (planned.tags.includes('b:1')) await images.dropLayers(planned)
  }
  expect(await images.lowers()).toMatchObject({ there: 2, kept: 1, broken: [] })
  for (const damaged of [path, layout.keptLower(b)]) {
    await chmod(damaged, 0o644)
    await truncate(damaged, 1000)
  }
  const { there, broken } = await images.lowers()
  expect(there).toBe(0)
  // That of b is one file with two names as yet.
  expect(broken.map(({ image, isKept }) => [image, isKept]).sort()).toEqual([
    ['a:1', false],
    ['b:1', false],
    ['b:1', true],
  ])
})
