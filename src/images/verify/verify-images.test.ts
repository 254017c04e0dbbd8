import { spawn } from 'node:child_process'
import { chmod, open, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { buildImage, buildLayer, noise, ociArchive } from '../../../test/support/image-builder.ts'
import { type Digest, parseDigest } from '../../base/index.ts'
import { makeImages, streamOf } from '../images.testkit.ts'

const layers = [
  buildLayer([
    { path: 'etc', type: 'directory' },
    { path: 'etc/motd', content: noise(9000, 'motd') },
    { path: 'etc/small', content: 'small' },
  ]),
  buildLayer([{ path: 'bin/tool', content: noise(20_000, 'tool'), mode: 0o755 }]),
]
const image = buildImage({ layers })
const [bottom, top] = layers.map(({ diffId }) => parseDigest(diffId)) as [Digest, Digest]

/** A store with one image and its lower. */
async function openStore() {
  const store = await makeImages()
  await store.images.load({ source: { stream: streamOf(ociArchive([{ image, ref: 'app:1' }])) } })
  const manifest = (await store.images.resolve('app:1')).manifestDigest
  const lower = (await store.images.ensureLower(manifest)).path
  const verify = (changes: { refs?: string[]; repair?: boolean; signal?: AbortSignal } = {}) =>
    store.images.verify({ refs: [], repair: false, ...changes })
  return { ...store, manifest, lower, verify }
}
type Store = Awaited<ReturnType<typeof openStore>>

/** Ways in which files rot. */
const damages = {
  async 'a flipped bit'(path: string): Promise<void> {
    await chmod(path, 0o644)
    await using file = await open(path, 'r+')
    const { size } = await file.stat()
    const byte = Buffer.alloc(1)
    const at = Math.floor(size / 2)
    await file.read(byte, 0, 1, at)
    await file.write(Buffer.from([(byte[0] ?? 0) ^ 0x10]), 0, 1, at)
  },
  async 'a lost tail'(path: string): Promise<void> {
    await chmod(path, 0o644)
    await truncate(path, Math.floor((await stat(path)).size * 0.7))
  },
  async 'a block of zeros'(path: string): Promise<void> {
    await chmod(path, 0o644)
    await using file = await open(path, 'r+')
    const { size } = await file.stat()
    const at = size > 8192 ? 4096 : 0
    await file.write(Buffer.alloc(Math.min(4096, size - at)), 0, Math.min(4096, size - at), at)
  },
  'nothing left': (path: string) => truncate(path, 0),
}

/** Each kind of file that an image has. */
const files: Record<string, (store: Store) => { path: string; kind: string; digest: string }> = {
  manifest: ({ layout }) => blobAt(layout.blob(parseDigest(image.root.digest)), image.root.digest),
  config: ({ layout }) => {
    const digest = JSON.parse(image.blobs.get(image.root.digest)?.toString() ?? '').config.digest as string
    return blobAt(layout.blob(parseDigest(digest)), digest)
  },
  'layer blob': ({ layout }) => blobAt(layout.blob(parseDigest(layers[1]?.digest ?? '')), layers[1]?.digest ?? ''),
  'layer data': ({ layout }) => ({ path: layout.layerData(bottom), kind: 'layer', digest: bottom }),
  'layer index': ({ layout }) => ({ path: layout.layerIndex(top), kind: 'layer', digest: top }),
  lower: ({ lower }) => ({ path: lower, kind: 'lower', digest: image.root.digest }),
}

function blobAt(path: string, digest: string) {
  return { path, kind: 'blob', digest }
}

const cases = Object.keys(files).flatMap((file) => Object.keys(damages).map((damage) => [file, damage] as const))

test('an intact image has no findings, and all of it was read', async () => {
  await using store = await openStore()
  const { checked, findings, notes } = await store.verify()
  expect([findings, notes]).toEqual([[], []])
  expect(checked).toMatchObject({ images: 1, blobs: 4, layers: 2, lowers: 1 })
  expect(checked.bytes).toBeGreaterThan((await stat(store.lower)).size)
})

test.each(cases)('%s with %s is found and named', async (file, damage) => {
  await using store = await openStore()
  const { path, kind, digest } = (files[file] as (typeof files)[string])(store)
  await damages[damage as keyof typeof damages](path)
  const { findings } = await store.verify({ refs: ['app:1'] })
  const found = findings.find((finding) => finding.kind === kind && finding.digest === digest)
  expect(found, JSON.stringify(findings)).toMatchObject({ images: ['app:1'], repaired: false })
  expect(found?.message).not.toBe('')
  expect(found?.mend).toMatch(/^(cowshed image verify --repair app:1|bring the image again: cowshed image pull app:1)/)
  // Nothing is blamed that is right.
  expect(findings.filter((finding) => finding !== found)).toEqual([])
})

describe('--repair', () => {
  test.each(cases.filter(([file]) => /layer (data|index)|lower/.test(file)))(
    'makes %s with %s as it was',
    async (file, damage) => {
      await using store = await openStore()
      const { path } = (files[file] as (typeof files)[string])(store)
      const before = await readFile(path)
      await damages[damage as keyof typeof damages](path)
      const { findings } = await store.verify({ repair: true })
      expect(findings.map(({ repaired }) => repaired)).toEqual([true])
      expect(await readFile(path)).toEqual(before)
      expect((await store.verify()).findings).toEqual([])
    },
  )

  test('does not touch what it cannot make from an intact source', async () => {
    await using store = await openStore()
    await damages['a flipped bit'](store.layout.layerData(bottom))
    await damages['a flipped bit'](store.layout.blob(parseDigest(layers[0]?.digest ?? '')))
    const damaged = await readFile(store.layout.layerData(bottom))
    const { findings } = await store.verify({ repair: true })
    expect(findings.map(({ kind, repaired }) => [kind, repaired]).sort()).toEqual([
      ['blob', false],
      ['layer', false],
    ])
    expect(findings.every(({ mend }) => mend.includes('cowshed image pull app:1'))).toBe(true)
    expect(await readFile(store.layout.layerData(bottom))).toEqual(damaged)
  })

  test('leaves a lower that another process has open, and says what to do first', async () => {
    await using store = await openStore()
    await damages['a flipped bit'](store.lower)
    const vm = spawn('sh', ['-c', 'exec 3< "$1"; echo open; exec sleep 1000', 'sh', store.lower])
    try {
      await new Promise((resolve) => vm.stdout.once('data', resolve))
      const inode = (await stat(store.lower)).ino
      const { findings } = await store.verify({ repair: true })
      expect(findings).toMatchObject([
        { kind: 'lower', repaired: false, mend: expect.stringMatching(/^stop the sheds/) },
      ])
      expect((await stat(store.lower)).ino).toBe(inode)
    } finally {
      vm.kill('SIGKILL')
    }
    await expect.poll(async () => (await store.verify({ repair: true })).findings[0]?.repaired).toBe(true)
  })
})

describe('the ext4 that sheds of an image are cloned from', () => {
  test('is held against its layers: whatever differs in it is found, and made again', async () => {
    await using store = await openStore()
    const { path, bytes } = await store.images.ensureRootfs(store.manifest)
    const whole = await readFile(path)
    expect(await store.verify()).toMatchObject({ checked: { rootfs: 1 }, findings: [], notes: [] })
    const content = whole.indexOf(noise(20_000, 'tool').subarray(0, 64))
    expect(content).toBeGreaterThan(0)
    const damages = {
      'the content of a file': () => write(path, content + 5000),
      'its descriptors': () => write(path, 4096 + 30),
      'what nothing is in': () => write(path, bytes / 2),
      'its superblock': () => write(path, 1024 + 200),
      'its end': () => truncate(path, bytes - 4096),
    }
    for (const [where, damage] of Object.entries(damages)) {
      await chmod(path, 0o644)
      await damage()
      const { findings } = await store.verify({ repair: where !== 'its descriptors' })
      const repaired = where !== 'its descriptors'
      const mend = 'cowshed image verify --repair app:1'
      expect(findings, where).toMatchObject([{ kind: 'rootfs', digest: store.manifest, path, mend, repaired }])
      if (!repaired) await store.verify({ repair: true })
      expect((await readFile(path)).equals(whole), where).toBe(true)
    }
  })

  test('is only known by its superblock without its layers in the cache, and the report says so', async () => {
    await using store = await openStore()
    await store.images.ensureRootfs(store.manifest)
    await rm(store.layout.layerIndex(bottom))
    const { findings, notes } = await store.verify()
    expect(findings).toEqual([])
    expect(notes).toContainEqual(expect.stringMatching(/root filesystem of app:1: only its superblock/))
  })
})

async function write(path: string, at: number): Promise<void> {
  await using file = await open(path, 'r+')
  await file.write(Buffer.from('rotten'), 0, 6, at)
}

test('a blob that is missing concerns every image that has it', async () => {
  await using store = await openStore()
  const other = buildImage({ layers: layers.slice(0, 1) })
  await store.images.load({ source: { stream: streamOf(ociArchive([{ image: other, ref: 'other:1' }])) } })
  await rm(store.layout.blob(parseDigest(layers[0]?.digest ?? '')))
  const { findings } = await store.verify()
  expect(findings).toMatchObject([{ kind: 'blob', message: 'it is missing', images: ['app:1', 'other:1'] }])
  expect((await store.verify({ refs: ['other:1'] })).findings).toMatchObject([{ images: ['other:1'] }])
})

test('a lower whose layers are not in the cache is checked as far as it tells by itself', async () => {
  await using store = await openStore()
  await rm(store.layout.layerIndex(bottom))
  const { findings, notes } = await store.verify()
  expect(findings).toEqual([])
  expect(notes).toEqual([expect.stringMatching(/lower of app:1.*only its structure/)])
  await writeFile(store.layout.layerIndex(bottom), '')
  expect((await store.verify()).findings).toMatchObject([{ kind: 'layer' }])
})

test('it can be cancelled, and leaves nothing', async () => {
  await using store = await openStore()
  await expect(store.verify({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'CANCELLED' })
  expect(await store.images.remove('app:1', { force: false })).toMatchObject({ untagged: ['app:1'] })
})

test('a lower whose layers were dropped is known by its digest, with nothing of them in the cache', async () => {
  await using store = await openStore()
  for (const drop of await store.images.planLayerDrops()) await store.images.dropLayers(drop)
  await rm(store.layout.cache, { recursive: true })
  expect((await store.verify()).notes).toEqual([
    expect.stringMatching(/not needed/),
    expect.stringMatching(/not needed/),
  ])
  const kept = store.layout.keptLower(store.manifest)
  await chmod(kept, 0o644)
  await write(kept, (await stat(kept)).size - 4096)
  const { findings } = await store.verify({ repair: true })
  expect(findings).toMatchObject([
    { kind: 'lower', path: kept, repaired: false, message: 'its content is not what its layers gave' },
  ])
  expect(findings[0]?.mend).toMatch(/^bring the image again: cowshed image pull app:1/)
})

test('layers that were dropped because the image boots without them are no damage; its lower is checked where it is kept', async () => {
  await using store = await openStore()
  const [drop] = await store.images.planLayerDrops()
  if (drop !== undefined) await store.images.dropLayers(drop)
  const { findings, notes, checked } = await store.verify()
  expect(findings).toEqual([])
  expect(checked.lowers).toBe(2)
  expect(notes).toEqual(
    expect.arrayContaining([expect.stringMatching(/^layer \w+ of app:1 is not here, and not needed/)]),
  )
  await damages['a flipped bit'](store.layout.keptLower(parseDigest(image.root.digest)))
  // It is one file with two names as yet.
  expect((await store.verify()).findings.map(({ kind, path }) => [kind, path])).toEqual([
    ['lower', store.lower],
    ['lower', store.layout.keptLower(parseDigest(image.root.digest))],
  ])
})
