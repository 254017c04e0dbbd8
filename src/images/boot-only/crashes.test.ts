import { readFile, writeFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { buildImage, buildLayer, noise, ociArchive } from '../../../test/support/image-builder.ts'
import { needs } from '../../../test/support/needs.ts'
import { runScript } from '../../../test/support/node-script.ts'
import { registryTools } from '../../../test/support/registry.ts'
import { parseDigest } from '../../base/index.ts'
import { sweepStaging } from '../../host/index.ts'
import { readLazyIndex } from '../../lazy/index.ts'
import { allFiles, makeImages, streamOf } from '../images.testkit.ts'
import { openPulls } from '../pull/pull.testkit.ts'

const script = new URL('../killed-at-step.testkit.ts', import.meta.url)
const image = buildImage({
  layers: [buildLayer([{ path: 'a', content: noise(300_000) }]), buildLayer([{ path: 'b', content: noise(5000) }])],
})
const manifest = parseDigest(image.root.digest)
const archive = ociArchive([{ image, ref: 'app:1' }])

describe.runIf(needs({ tools: registryTools }))('kill -9', () => {
  test('in a boot-only pull leaves nothing to see, or the image; the next pull goes on', async () => {
    await using place = await openPulls()
    const ref = `${place.registry.host}/app:1`
    await using publisher = await makeImages({ registries: place.registries })
    await publisher.images.load({ source: { stream: streamOf(archive) } })
    await publisher.images.publish({ ref: 'app:1', destination: ref })
    const lower = await readFile((await publisher.images.ensureLower(manifest)).path)
    const all = await stepsOf('pull', place.layout.root, ref)
    await place.images.remove(ref, { force: false })
    const before = await allFiles(place.layout)
    const index = all.indexOf('rename /index.json')
    const chosen = [
      all.findIndex((line) => line.includes('/downloads/')),
      all.findIndex((line) => line.includes('/part-')),
      all.findIndex((line) => /^rename \/lowers\/.*\.json$/.test(line)),
      all.findIndex((line) => /^rename \/lowers\/.*\.erofs$/.test(line)),
      index,
      index + 1,
    ]
    expect(Math.min(...chosen)).toBeGreaterThanOrEqual(0)
    for (const step of chosen) {
      const { signal } = await runScript(script, [String(step), 'pull', place.layout.root, ref])
      expect(signal).toBe('SIGKILL')
      await sweepStaging(place.layout)
      expect((await place.images.list()).map(({ tags }) => tags)).toEqual(step > index ? [[ref]] : [])
      await place.images.pull({ ref })
      expect((await readFile((await place.images.ensureLower(manifest)).path)).equals(lower)).toBe(true)
      await place.images.remove(ref, { force: false })
      expect((await allFiles(place.layout)).filter((name) => !name.startsWith('downloads/'))).toEqual(before)
    }
  }, 300_000)

  test('in a pull of what is read in part, and all here, loses nothing of it: no part is ever fetched', async () => {
    await using place = await openPulls()
    const ref = place.ref('app:1')
    await using publisher = await makeImages({ registries: place.registries })
    await publisher.images.load({ source: { stream: streamOf(archive) } })
    await publisher.images.publish({ ref: 'app:1', destination: ref })
    const lower = await readFile((await publisher.images.ensureLower(manifest)).path)
    const readAll = async () => {
      const { lazy } = await place.images.bringLazily(ref)
      if (lazy === undefined) throw new Error('it is here')
      await writeFile(place.layout.lazyLower(lazy.chunkIndex).data, lower)
      place.proxy.clear()
      return await readLazyIndex(place.layout, lazy.chunkIndex)
    }
    const parts = (await readAll())?.parts ?? []
    expect(parts).toHaveLength(3)
    const all = await stepsOf('pull', place.layout.root, ref)
    const chosen = [/^open .*\/lower$/, /^rename \/lowers\/.*\.json$/, /^rename \/lowers\/.*\.erofs$/, /^rm \/lazy\//]
    for (const [at, pattern] of chosen.entries()) {
      const step = all.findIndex((line) => pattern.test(line))
      expect([at, step]).not.toEqual([at, -1])
      await place.images.remove(ref, { force: false })
      await readAll()
      expect((await runScript(script, [String(step), 'pull', place.layout.root, ref])).signal).toBe('SIGKILL')
      await sweepStaging(place.layout)
      await place.images.pull({ ref })
      expect((await readFile((await place.images.ensureLower(manifest)).path)).equals(lower)).toBe(true)
      for (const { digest } of parts) expect(place.blobReads(digest)).toEqual([])
    }
  }, 300_000)

  test('in a publication leaves nothing to see in the registry; the next one is the same', async () => {
    await using place = await openPulls()
    await place.images.load({ source: { stream: streamOf(archive) } })
    const repository = place.registries.repository({ registry: place.registry.host, path: 'whole' })
    const whole = await place.images.publish({ ref: 'app:1', destination: `${place.registry.host}/whole:1` })
    expect((await repository.resolve('1')).digest).toBe(whole.digest)
    for (const step of [0, 3, 5]) {
      // What was remembered of the layers would spare it the work.
      await using store = await makeImages({ registries: place.registries })
      await store.images.load({ source: { stream: streamOf(archive) } })
      const to = `killed-${step}`
      const destination = `${place.registry.host}/${to}:1`
      const { signal } = await runScript(script, [String(step), 'publish', store.layout.root, destination])
      expect(signal).toBe('SIGKILL')
      const there = place.registries.repository({ registry: place.registry.host, path: to })
      await expect(there.resolve('1')).rejects.toMatchObject({ code: 'REGISTRY_NOT_FOUND' })
      await sweepStaging(store.layout)
      expect(await store.images.publish({ ref: 'app:1', destination })).toMatchObject({ digest: whole.digest })
    }
  }, 300_000)

  test('when layers are dropped leaves an image that boots', async () => {
    const all = await (async () => {
      await using store = await storeWithLower()
      return await stepsOf('drop', store.layout.root, '')
    })()
    for (let step = 0; step < all.length; step++) {
      await using store = await storeWithLower()
      const lower = await readFile((await store.images.ensureLower(manifest)).path)
      await runScript(script, [String(step), 'drop', store.layout.root, ''])
      expect((await readFile((await store.images.ensureLower(manifest)).path)).equals(lower)).toBe(true)
      expect(await store.images.list()).toHaveLength(1)
    }
  }, 300_000)
})

async function storeWithLower() {
  const store = await makeImages()
  await store.images.load({ source: { stream: streamOf(archive) } })
  await store.images.ensureLower(manifest)
  return store
}

/** The steps of an operation that is not killed. */
async function stepsOf(operation: string, root: string, argument: string): Promise<string[]> {
  const { stdout, code } = await runScript(script, ['-1', operation, root, argument])
  expect(code).toBe(0)
  return stdout.trimEnd().split('\n')
}
