import { createHash } from 'node:crypto'
import promises, { readFile, rm, stat, utimes } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { describe, expect, test } from 'vitest'
import { buildLayer, ociArchive } from '../../../test/support/image-builder.ts'
import { type Digest, Problem, parseDigest } from '../../base/index.ts'
import { allFiles, makeImages, sampleImage, streamOf } from '../images.testkit.ts'
import type { ImagesOptions } from '../open-images.ts'

const base = sampleImage('base')
const app = sampleImage('app', { image: { layers: [...base.layers, buildLayer([{ path: 'app', content: 'x' }])] } })
const other = sampleImage('other')
const digests = { base: base.root.digest as Digest, app: app.root.digest as Digest, other: other.root.digest as Digest }

describe('an eviction', () => {
  test('takes what no running shed has open; what is needed again is built again, with the same bytes', async () => {
    await using store = await storeOfThree()
    const before = await store.lowerHashes()
    store.users.push({ name: 'resting', manifestDigest: digests.base, isRunning: false })
    store.users.push({ name: 'web', manifestDigest: digests.other, isRunning: true })
    const blobs = await blobsOf(store)

    const outcomes = await store.evictAll()

    expect(kept(outcomes)).toEqual(Array(other.layers.length + 1).fill('used by running shed web'))
    expect(await store.lowers()).toEqual(['other'])
    expect((await allFiles(store.layout)).filter((path) => /layers\/.*data$/.test(path))).toHaveLength(
      other.layers.length,
    )
    expect(await blobsOf(store)).toEqual(blobs)
    expect(await store.lowerHashes()).toEqual(before)
  })

  test('keeps a layer for every image that has it: one that is open is enough', async () => {
    await using store = await storeOfThree()
    store.users.push({ name: 'web', manifestDigest: digests.app, isRunning: true })
    await store.evictAll()
    // base has no layer that app does not have.
    expect(await store.lowers()).toEqual(['app'])
    expect(await layerFiles(store)).toHaveLength(2 * app.layers.length)
  })

  test('keeps what cannot be built again', async () => {
    await using store = await storeOfThree()
    const [bottom] = base.layers
    await rm(store.layout.blob(parseDigest(bottom?.digest ?? '')))
    const outcomes = await store.evictAll()
    expect(new Set(kept(outcomes))).toEqual(
      new Set(['cannot be built again: its layer is not here', 'cannot be built again: its layers are not here']),
    )
    expect(await store.lowers()).toEqual(['base', 'app'])
    // A layer whose blob is here goes all the same.
    expect(await layerFiles(store)).toHaveLength(2)
  })

  test('keeps what the image of a shed cannot be read for, and everything if that shed runs', async () => {
    await using store = await storeOfThree()
    await store.images.remove('other:1', { force: true })
    await store.images.ensureLower(digests.base)
    const pinned = { name: 'web', manifestDigest: digests.base, isRunning: false }
    store.users.push(pinned)
    await rm(store.layout.blob(digests.base))
    // The lower and the root filesystem, of which the latter was never made.
    const reason = expect.stringContaining('cannot be built again: ')
    expect(kept(await store.evictAll())).toEqual([reason, reason])
    store.users.splice(0, 1, { ...pinned, isRunning: true })
    const files = await allFiles(store.layout)
    await expect(store.evictAll()).rejects.toMatchObject({ code: 'RECORD_INVALID' })
    expect(await allFiles(store.layout)).toEqual(files)
  })

  test('takes nothing when the sheds cannot be read', async () => {
    const broken = new Problem('RECORD_INVALID', 'the record of web is torn')
    let problem: Problem | undefined
    await using store = await storeOfThree({
      users: async () => {
        if (problem !== undefined) throw problem
        return []
      },
    })
    const entries = await store.entries()
    problem = broken
    const files = await allFiles(store.layout)
    await expect(store.images.evict(entries)).rejects.toBe(broken)
    expect(await allFiles(store.layout)).toEqual(files)
  })

  test('keeps what has been used since it was decided on', async () => {
    await using store = await storeOfThree()
    const entries = await store.entries()
    await utimes(store.layout.lower('plain', digests.app), new Date(), new Date(Date.now() + 120_000))
    expect(kept(await store.images.evict(entries))).toEqual(['it has been used since the plan was made'])
    expect(await store.lowers()).toEqual(['app'])
  })
})

test('a shed that starts at any step of an eviction has its lower, whole, and keeps it for as long as it runs', async () => {
  let atStep = () => {}
  await using store = await storeOfThree({
    users: async () => {
      atStep()
      return []
    },
  })
  const { app: whole } = await store.lowerHashes()
  const entries = (await store.entries())
    .filter(({ manifests }) => manifests.includes(digests.app))
    // It is built and used again and again below.
    .map((entry) => ({ ...entry, ifUnusedSince: Date.now() + 3600e3 }))
  // Each file has a step before and one after its removal, and the sheds are looked at once.
  const allSteps = 1 + 2 * entries.flatMap((entry) => entry.files).length
  const fates = new Set<string>()
  for (let start = 0; start <= allSteps; start++) {
    await store.images.ensureLower(digests.app)
    let boot: Promise<void> | undefined
    let steps = 0
    atStep = () => {
      if (steps++ === start) boot = startShed()
    }
    const evicting = withStepAtRemovals(
      () => atStep(),
      () => store.images.evict(entries),
    )
    const startShed = async () => {
      using _hold = store.images.hold(digests.app)
      const { path, outcome } = await store.images.ensureLower(digests.app)
      fates.add(outcome)
      // Neither this eviction nor the next one takes it while it is held.
      await evicting
      expect(kept(await store.images.evict(entries))).toHaveLength(entries.length)
      expect(hashOf(await readFile(path))).toBe(whole)
    }
    await evicting
    if (start === allSteps) expect([boot, steps]).toEqual([undefined, allSteps])
    else await expect(boot).resolves.toBeUndefined()
  }
  // Early enough it is kept, later it is built again.
  expect(fates).toEqual(new Set(['present', 'built']))
})

test('an image that was held when the eviction began is kept, though its shed came too late to be seen', async () => {
  let onLook = () => {}
  await using store = await storeOfThree({
    users: async () => {
      onLook()
      return []
    },
  })
  const entries = await store.entries()
  const hold = store.images.hold(digests.other)
  // The shed is made between the look at the sheds and the removal: from now on its record says who needs the image.
  onLook = () => setImmediate(() => hold[Symbol.dispose]())
  const outcomes = await store.images.evict(entries)
  expect(kept(outcomes)).toEqual(Array(other.layers.length + 2).fill('in use at this moment'))
  expect(await store.lowers()).toEqual(['other'])
})

/** Calls `step` just before and just after every file that is removed. */
async function withStepAtRemovals<T>(step: () => void, work: () => Promise<T>): Promise<T> {
  const real = promises.rm
  promises.rm = async (...args) => {
    step()
    await real(...args)
    step()
  }
  syncBuiltinESMExports()
  try {
    return await work()
  } finally {
    promises.rm = real
    syncBuiltinESMExports()
  }
}

/** Three images with their lowers, of which two share layers. */
async function storeOfThree(options: Partial<ImagesOptions> = {}) {
  const store = await makeImages(options)
  const { images, layout } = store
  const tagged = [
    { image: base, ref: 'base:1' },
    { image: app, ref: 'app:1' },
    { image: other, ref: 'other:1' },
  ]
  await images.load({ source: { stream: streamOf(ociArchive(tagged)) } })
  const names = ['base', 'app', 'other'] as const
  const ensure = (name: (typeof names)[number]) => images.ensureLower(digests[name])
  for (const name of names) await ensure(name)
  const entries = async () => (await images.cache()).map((entry) => ({ ...entry, ifUnusedSince: Date.now() + 60_000 }))
  return {
    ...store,
    entries,
    evictAll: async () => await images.evict(await entries()),
    /** Which lowers are there. */
    async lowers() {
      const there = await Promise.all(names.map((name) => stat(layout.lower('plain', digests[name])).catch(() => {})))
      return names.filter((_, i) => there[i] !== undefined)
    },
    /** Of every lower, built where it is missing. */
    async lowerHashes() {
      const hashes = await Promise.all(
        names.map(async (name) => [name, hashOf(await readFile((await ensure(name)).path))]),
      )
      return Object.fromEntries(hashes) as Record<(typeof names)[number], string>
    },
  }
}

function kept(outcomes: readonly { readonly keptBy?: string }[]): string[] {
  return outcomes.flatMap(({ keptBy }) => keptBy ?? [])
}

function hashOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

async function layerFiles({ layout }: Pick<Awaited<ReturnType<typeof makeImages>>, 'layout'>): Promise<string[]> {
  return (await allFiles(layout)).filter((path) => path.includes('/layers/'))
}

async function blobsOf({ layout }: Pick<Awaited<ReturnType<typeof makeImages>>, 'layout'>): Promise<string[]> {
  return (await allFiles(layout)).filter((path) => !path.startsWith('cache/'))
}
