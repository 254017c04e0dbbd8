import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { toolsFor, withSmallFilesystem } from '../../test/support/filesystems.ts'
import { buildLayer, noise, ociArchive } from '../../test/support/image-builder.ts'
import { needs } from '../../test/support/needs.ts'
import { runScript } from '../../test/support/node-script.ts'
import { dataLayout, parseDigest } from '../base/index.ts'
import { openBlobStore } from '../blobs/index.ts'
import { sweepStaging } from '../host/index.ts'
import { allFiles, makeImages, sampleImage, streamOf, unpackHere } from './images.testkit.ts'
import { openImages } from './open-images.ts'

const script = new URL('./killed-at-step.testkit.ts', import.meta.url)
const base = sampleImage('base')
const app = sampleImage('app', { image: { layers: [...base.layers, buildLayer([{ path: 'app', content: 'x' }])] } })
const archive = ociArchive([{ image: app, ref: 'app:1' }])

describe('kill -9', () => {
  test('in a load leaves the store as it was, or the whole image; the next load succeeds', async () => {
    const all = await stepsOf('load')
    // Every kind of step, and the two that matter most: the last blob before the index, and the index.
    const chosen = [
      all.findIndex((line) => line.includes('/staging/load-')),
      all.findIndex((line) => /^rename .*\.data$/.test(line)),
      all.findIndex((line) => /^rename .*\.index$/.test(line)),
      all.findIndex((line) => line.startsWith('rename /blobs/')),
      all.findLastIndex((line) => line.startsWith('rename /blobs/')),
      all.indexOf('rename /index.json'),
      all.findLastIndex((line) => line.startsWith('rm /staging/load-')),
    ]
    const indexStep = all.indexOf('rename /index.json')
    expect(Math.min(...chosen)).toBeGreaterThanOrEqual(0)
    for (const step of chosen) {
      await using store = await storeWithBase()
      const [before] = await store.images.list()
      await crash(store, 'load', step)
      const images = await recovered(store)
      expect(images.map(({ tags }) => tags[0])).toEqual(step > indexStep ? ['base:1', 'app:1'] : ['base:1'])
      expect(images[0]).toEqual(before)
      await store.images.load({ source: { stream: streamOf(archive) } })
      expect(await recovered(store)).toHaveLength(2)
      await store.images.remove('app:1', { force: false })
      await expectOnlyBase(store)
    }
  })

  test('in a removal leaves the whole image, or no trace of it but blobs that nobody refers to', async () => {
    const all = await stepsOf('remove')
    const index = all.indexOf('rename /index.json')
    const firstBlob = all.findIndex((line) => line.startsWith('rm /blobs/'))
    for (const step of [index, firstBlob, firstBlob + 1, all.length - 1]) {
      await using store = await storeWithBase()
      await store.images.load({ source: { stream: streamOf(archive) } })
      await crash(store, 'remove', step)
      const images = await recovered(store)
      expect(images).toHaveLength(step === index ? 2 : 1)
      // Loading and removing it again leaves nothing of what was left over.
      await store.images.load({ source: { stream: streamOf(archive) } })
      await store.images.remove('app:1', { force: false })
      await expectOnlyBase(store)
    }
  })
})

test('kill -9 at every step of an eviction leaves a store that builds the same lower again', async () => {
  await using store = await makeImages()
  const two = ociArchive([{ image: base, ref: 'base:1' }])
  const [image] = await store.images.load({ source: { stream: streamOf(two) } })
  const manifest = parseDigest(image?.manifest_digest ?? '')
  const lower = async () => await readFile((await store.images.ensureLower(manifest)).path)
  const before = await lower()
  const files = await allFiles(store.layout)
  const whole = new Map<string, Buffer>()
  for (const path of files) whole.set(path, await readFile(join(store.layout.root, path)))
  const restore = async () => {
    for (const [path, bytes] of whole) await writeFile(join(store.layout.root, path), bytes)
  }
  const evict = (step: number) => runScript(script, [String(step), 'evict', store.layout.root, 'no archive'])
  const steps = (await evict(-1)).stdout.trimEnd().split('\n')
  expect(await allFiles(store.layout)).toEqual(files.filter((path) => !path.startsWith('cache/')))
  const removals = steps.flatMap((line, step) => (whole.has(line.slice('rm /'.length)) ? [step] : []))
  expect(removals.length).toBe([...whole.keys()].filter((path) => path.startsWith('cache/')).length)
  // Before the first, and behind each: the steps between remove what was never there.
  for (const step of [0, ...removals.slice(0, -1).map((removal) => removal + 1)]) {
    await restore()
    expect((await evict(step)).signal).toBe('SIGKILL')
    const left = await allFiles(store.layout)
    expect(files).toEqual(expect.arrayContaining(left))
    expect(left.length).toBe(files.length - removals.filter((removal) => removal < step).length)
    expect(await lower()).toEqual(before)
    // Also from layers of which some are gone.
    await rm(store.layout.lower('plain', manifest), { force: true })
    expect(await lower()).toEqual(before)
    expect(await allFiles(store.layout)).toEqual(files)
  }
})

describe('a full disk', () => {
  test.runIf(needs({ root: true, tools: toolsFor('ext4') }))('in a load is NO_SPACE, and leaves nothing', async () => {
    const big = sampleImage('big', {
      image: { layers: [buildLayer([{ path: 'big', content: noise(24 * 2 ** 20) }], { compression: 'none' })] },
    })
    const bytes = ociArchive([{ image: big, ref: 'big:1' }])
    // 20 MiB are too small for the blob, 36 MiB for the blob and its unpacked layer.
    for (const size of [20, 36]) {
      await withSmallFilesystem('ext4', size * 2 ** 20, async (directory, fs) => {
        const layout = dataLayout(`${directory}/data`)
        const blobs = await openBlobStore(layout)
        const images = openImages({ layout, blobs, users: async () => [], unpackLayer: unpackHere })
        const before = await allFiles(layout)
        await expect(images.load({ source: { stream: streamOf(bytes) } })).rejects.toMatchObject({ code: 'NO_SPACE' })
        expect(await allFiles(layout)).toEqual(before)
        await images.load({ source: { stream: streamOf(ociArchive([{ image: base, ref: 'base:1' }])) } })
        // The last byte is taken: an image can be removed all the same.
        await fs.fill({ leave: '0' })
        expect((await images.remove('base:1', { force: false })).freed_physical_bytes).toBeGreaterThan(0)
      })
    }
  })
})

type Store = Awaited<ReturnType<typeof makeImages>>

async function storeWithBase(): Promise<Store> {
  const store = await makeImages()
  await store.images.load({ source: { stream: streamOf(ociArchive([{ image: base, ref: 'base:1' }])) } })
  await writeFile(store.path('app.tar'), archive)
  return store
}

/** The steps of an operation that is not killed. */
async function stepsOf(operation: 'load' | 'remove'): Promise<string[]> {
  await using store = await storeWithBase()
  if (operation === 'remove') await store.images.load({ source: { stream: streamOf(archive) } })
  const { stdout, code } = await runScript(script, ['-1', operation, store.layout.root, store.path('app.tar')])
  expect(code).toBe(0)
  return stdout.trimEnd().split('\n')
}

async function crash(store: Store, operation: 'load' | 'remove', step: number): Promise<void> {
  const { signal } = await runScript(script, [String(step), operation, store.layout.root, store.path('app.tar')])
  expect(signal).toBe('SIGKILL')
}

/** The images of a store that another process left, each looked at to the last byte. */
async function recovered({ layout, images }: Store) {
  await sweepStaging(layout)
  const blobs = await openBlobStore(layout)
  for (const entry of await images.catalog()) {
    for (const digest of entry.blobs) {
      expect(await blobs.isIntact(digest, (await blobs.size(digest)) ?? -1), `${entry.tags} ${digest}`).toBe(true)
    }
  }
  return await images.list()
}

async function expectOnlyBase(store: Store): Promise<void> {
  await using fresh = await storeWithBase()
  expect(await allFiles(store.layout)).toEqual(await allFiles(fresh.layout))
}
