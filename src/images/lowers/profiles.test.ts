import { readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { buildImage, buildLayer, noise, ociArchive } from '../../../test/support/image-builder.ts'
import { type LowerForm, type LowerProfile, parseDigest } from '../../base/index.ts'
import { allFiles, makeImages, streamOf } from '../images.testkit.ts'
import { unpackLayer } from './unpack-layer.ts'

const text = (name: string) => `${name} says the same again and again\n`.repeat(2000)
const layers = [
  buildLayer([{ path: 'a', content: text('a') }]),
  buildLayer([{ path: 'b', content: Buffer.concat([noise(9000, 'b'), Buffer.from(text('b'))]) }]),
]
const image = buildImage({ layers })
const manifest = parseDigest(image.root.digest)

interface Wanted {
  readonly profile: LowerProfile | 'auto'
  readonly form: LowerForm | 'auto'
  readonly guestRelease?: string
}

/** A store with one image, as a daemon with these settings would have it. */
async function storeWith(wanted: Wanted) {
  const settings = { ...wanted }
  const store = await makeImages({
    unpackLayer,
    lowers: {
      get policy() {
        return { profile: settings.profile, form: settings.form }
      },
      guestRelease: async () => settings.guestRelease ?? '6.1.0',
    },
  })
  await store.images.load({ source: { stream: streamOf(ociArchive([{ image, ref: 'app:1' }])) } })
  const cache = async () => (await allFiles(store.layout)).filter((path) => path.startsWith('cache/'))
  return { ...store, settings, cache, ensure: () => store.images.ensureLower(manifest) }
}

describe('an image whose lower is to be', () => {
  test('lz4 and in parts has the data of its layers once, and a bootstrap that says which it is', async () => {
    await using store = await storeWith({ profile: 'lz4', form: 'parts' })
    const { layout } = store
    const lower = await store.ensure()
    const diffIds = layers.map(({ diffId }) => parseDigest(diffId))
    expect(lower).toMatchObject({
      kind: { profile: 'lz4', form: 'parts' },
      path: layout.lowerBootstrap('lz4', manifest),
    })
    expect(lower.parts.map(({ path }) => path)).toEqual(diffIds.map((diffId) => layout.layerData(diffId, 'lz4')))
    const kinds = (await store.cache()).map((path) => path.replace(/^.*?\/([^/]*\/)[0-9a-f]+/, '$1')).sort()
    expect(kinds).toEqual(
      [
        ...['layers/.index', 'layers/.lz4.data', 'layers/.lz4.map'].flatMap((kind) => [kind, kind]),
        'lz4/.bootstrap',
      ].sort(),
    )
    expect(await store.images.inspect('app:1')).toMatchObject({
      lower_profile: 'lz4',
      lower_form: 'parts',
      lower_bytes: lower.bytes,
    })
    expect(await store.ensure()).toMatchObject({ outcome: 'present', bytes: lower.bytes })
  })

  test('in parts is built again when the data of a layer has gone, with the same bytes', async () => {
    await using store = await storeWith({ profile: 'lz4-64k', form: 'parts' })
    const lower = await store.ensure()
    const read = () => Promise.all([lower.path, ...lower.parts.map(({ path }) => path)].map((path) => readFile(path)))
    const before = await read()
    const [first, second] = lower.parts
    for (const damage of [() => rm(first?.path ?? ''), () => truncate(second?.path ?? '', 4096)]) {
      await damage()
      expect((await store.ensure()).outcome).toBe('built')
      expect(await read()).toEqual(before)
    }
  })

  test('something else than what is there boots from what is there', async () => {
    await using store = await storeWith({ profile: 'plain', form: 'whole' })
    const { path } = await store.ensure()
    Object.assign(store.settings, { profile: 'lz4-64k', form: 'parts' })
    expect(await store.ensure()).toMatchObject({ path, outcome: 'present' })
    await rm(path)
    const other = await store.ensure()
    expect(other).toMatchObject({ kind: { profile: 'lz4-64k', form: 'parts' }, outcome: 'built' })
    // A kernel that cannot read it gets one of its own.
    Object.assign(store.settings, { profile: 'plain', form: 'auto', guestRelease: '5.10.0' })
    expect((await store.ensure()).kind.profile).toBe('plain')
  })

  test('in parts, but has too many layers, is whole', async () => {
    await using store = await storeWith({ profile: 'lz4', form: 'parts' })
    const many = buildImage({
      layers: Array.from({ length: 13 }, (_, i) => buildLayer([{ path: `${i}`, content: text(`${i}`) }])),
    })
    await store.images.load({ source: { stream: streamOf(ociArchive([{ image: many, ref: 'many:1' }])) } })
    const lower = await store.images.ensureLower(parseDigest(many.root.digest))
    expect(lower).toMatchObject({ kind: { profile: 'lz4', form: 'whole' }, parts: [] })
    expect((await store.images.ensureLower(parseDigest(many.root.digest))).outcome).toBe('present')
  })

  test('what the guest cannot read is refused, and its list is there all the same', async () => {
    await using store = await storeWith({ profile: 'plain', form: 'whole' })
    Object.assign(store.settings, { form: 'parts', guestRelease: '5.10.0' })
    await expect(store.ensure()).rejects.toMatchObject({ code: 'HOST_UNSUPPORTED' })
    expect(await store.images.list()).toHaveLength(1)
  })
})

describe('all that knows of lowers knows those that are compressed and in parts', () => {
  test('a shed keeps the data of its lower from a removal; with the image all of it goes', async () => {
    await using store = await storeWith({ profile: 'lz4', form: 'parts' })
    const empty = await store.cache()
    const lower = await store.ensure()
    store.users.push({ name: 'web', manifestDigest: manifest, isRunning: true })
    expect(empty.length).toBeGreaterThan(0)
    await expect(store.images.remove('app:1', { force: false })).rejects.toMatchObject({ code: 'IMAGE_IN_USE' })
    await store.images.remove('app:1', { force: true })
    for (const { path } of [lower, ...lower.parts]) await stat(path)
    const evicted = await store.images.evict(
      (await store.images.cache()).map((entry) => ({ ...entry, ifUnusedSince: Date.now() + 1000 })),
    )
    // Of a root filesystem nobody has anything open, and there is none.
    const ofLower = evicted.filter(({ entry }) => entry.unit !== 'rootfs')
    expect(new Set(ofLower.map(({ keptBy }) => keptBy))).toEqual(new Set(['used by running shed web']))
    store.users.length = 0
    await store.images.remove(manifest, { force: false })
    expect(await store.cache()).toEqual([])
  })

  test('verify reads all of it, sees a flipped bit, and mends it', async () => {
    await using store = await storeWith({ profile: 'lz4', form: 'parts' })
    const { path, parts } = await store.ensure()
    expect(await store.images.verify({ refs: [], repair: false })).toMatchObject({
      checked: { layers: 2, lowers: 1 },
      findings: [],
    })
    const whole = await Promise.all([path, ...parts.map((part) => part.path)].map((file) => readFile(file)))
    for (const file of [parts[1]?.path ?? '', path]) {
      const bytes = await readFile(file)
      bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 1
      await rm(file)
      await writeFile(file, bytes, { mode: 0o444 })
      const { findings } = await store.images.verify({ refs: [], repair: true })
      expect(findings.length).toBeGreaterThan(0)
      expect((await store.images.verify({ refs: [], repair: false })).findings).toEqual([])
    }
    const after = await Promise.all([path, ...parts.map((part) => part.path)].map((file) => readFile(file)))
    expect(after).toEqual(whole)
  })

  test('an image whose layers are dropped keeps a lower that is whole', async () => {
    await using store = await storeWith({ profile: 'lz4', form: 'parts' })
    await store.ensure()
    const [planned] = await store.images.planLayerDrops()
    if (planned === undefined) throw new Error('no plan')
    await store.images.dropLayers(planned)
    await rm(store.layout.cache, { recursive: true })
    const kept = await store.ensure()
    expect(kept).toMatchObject({ kind: { profile: 'lz4', form: 'whole' }, path: store.layout.keptLower(manifest) })
  })
})
