import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isProblem, parseDigest } from '../../src/base/index.ts'
import { PruneQuery } from '../../src/contract/index.ts'
import { busyboxImageTools } from '../support/busybox-image.ts'
import { buildImage, buildLayer, ociArchive } from '../support/image-builder.ts'
import { lazyCacheDigest, makeLazyCache } from '../support/lazy-cache.ts'
import { needs } from '../support/needs.ts'
import { type OpenedRooms, openRoomsOn } from '../support/open-rooms.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'

const solo = imageOf('solo')
const ofSolo = [...solo.digests, lazyCacheDigest('solo:1')].map((digest) => digest.replace('sha256:', ''))
const soloDigest = solo.image.root.digest

/** Everybody who removes something, and what of. `solo:1` is an image that no shed uses, `web` a stopped shed. */
type Kind = 'image' | 'shed' | 'snapshot' | 'volume'
const deleters: readonly (readonly [string, Kind, (rooms: OpenedRooms) => Promise<unknown>])[] = [
  ['image rm', 'image', ({ images }) => images.remove('solo:1', { force: false })],
  ['image rm --force', 'image', ({ images }) => images.remove('solo:1', { force: true })],
  ['image rm of a digest', 'image', ({ images }) => images.remove(soloDigest, { force: true })],
  ['prune of images', 'image', (rooms) => prune(rooms, { scope: ['images'] })],
  ['prune of layers', 'image', (rooms) => prune(rooms, { scope: ['layers'] })],
  ['prune of the cache', 'image', (rooms) => prune(rooms, { scope: ['cache'] })],
  ['prune of what is partly here', 'image', (rooms) => prune(rooms, { scope: ['lazy'] })],
  ['the budget of the cache', 'image', ({ usage }) => usage.keeper.makeRoom({ why: 'test', manifests: [] }, 2 ** 50)],
  ['a tag that moves, and a prune', 'image', moveTagAndPrune],
  ['prune of everything', 'image', pruneAll],
  ['prune of instances', 'shed', (rooms) => prune(rooms, { scope: ['instances'] })],
  ['delete', 'shed', ({ sheds }) => sheds.remove('web', { force: false })],
  ['delete --force', 'shed', ({ sheds }) => sheds.remove('web', { force: true })],
  ['reset', 'shed', ({ sheds }) => sheds.reset('web')],
  ['snapshot rm', 'snapshot', ({ sheds }) => sheds.snapshots.remove('kept', { force: false })],
  ['snapshot rm --force', 'snapshot', ({ sheds }) => sheds.snapshots.remove('kept', { force: true })],
  ['volume rm', 'volume', ({ sheds }) => sheds.volumes.remove('data', { force: false })],
  ['volume rm --force', 'volume', ({ sheds }) => sheds.volumes.remove('data', { force: true })],
]

const setters: Readonly<Record<Kind, (rooms: OpenedRooms, pinned: boolean) => Promise<unknown>>> = {
  image: ({ images }, pinned) => images.pin('solo:1', pinned),
  shed: ({ sheds }, pinned) => sheds.protect('web', pinned),
  snapshot: ({ sheds }, pinned) => sheds.snapshots.protect('kept', pinned),
  volume: ({ sheds }, pinned) => sheds.volumes.protect('data', pinned),
}

describe.runIf(needs({ tools: ['mke2fs', ...busyboxImageTools] }))('what is pinned stays', () => {
  let directory: TemporaryDirectory
  let rooms: OpenedRooms
  beforeAll(async () => {
    directory = await temporaryDirectory()
    rooms = await openRoomsOn(directory.path)
  })
  afterAll(async () => {
    await rooms[Symbol.asyncDispose]()
    await directory[Symbol.asyncDispose]()
  })

  test.each(deleters)('%s: pinned nothing of it goes, and unpinned it does', async (_, kind, remove) => {
    await makeBoth(rooms)
    const set = async (pinned: boolean) => await setters[kind](rooms, pinned)
    const files = await filesOf(rooms, kind)
    await set(true)
    await remove(rooms).catch((error: unknown) => {
      if (!isProblem(error, 'PINNED')) throw error
    })
    expect(await filesOf(rooms, kind)).toEqual(files)
    if (kind === 'image') await rooms.images.tag(soloDigest, 'solo:1')
    await set(false)
    await remove(rooms)
    expect(await filesOf(rooms, kind)).not.toEqual(files)
  })

  test('is shown, with what lets it go, in every list', async () => {
    await makeBoth(rooms)
    await rooms.images.pin('solo:1', true)
    await rooms.sheds.protect('web', true)
    expect(await rooms.sheds.get('web')).toMatchObject({ protected: true })
    expect(await rooms.images.inspect('solo:1')).toMatchObject({ pinned: true })
    const { images, sheds } = await rooms.usage.df()
    expect(images.map(({ name, pinned }) => [name, pinned])).toContainEqual(['solo:1', true])
    expect(sheds).toEqual([expect.objectContaining({ name: 'web', protected: true })])
    const { items, skipped } = await rooms.usage.prune(query({ scope: ['images', 'instances', 'layers', 'cache'] }))
    const about = [...items, ...skipped].filter(({ name }) => name?.includes('solo:1') || name === 'web')
    expect(new Map(about.map(({ kind, reason }) => [kind, reason]))).toEqual(
      new Map([
        ['instance', 'protected (to let it go: cowshed unprotect web)'],
        ['image', 'pinned (to let it go: cowshed image unpin solo:1)'],
        ['layers', 'pinned (to let it go: cowshed image unpin solo:1)'],
        ['cache', 'pinned (to let it go: cowshed image unpin solo:1)'],
      ]),
    )
    const types = rooms.events.read({ limit: 100 }).map(({ type }) => type)
    expect(types.filter((type) => type === 'shed.protected').length).toBeGreaterThan(0)
  })

  test('after a plan was made, what is pinned since stays; what cannot be known to be free does, too', async () => {
    await makeBoth(rooms)
    await rooms.images.pin('solo:1', false)
    await rooms.sheds.protect('web', false)
    const plan = await rooms.usage.prune(query({}))
    expect(plan.items.map(({ name }) => name)).toEqual(['web', 'solo:1'])
    await rooms.images.pin('solo:1', true)
    await rooms.sheds.protect('web', true)
    const again = () => rooms.usage.prune({ ...query({}), dry_run: false, plan_id: plan.plan_id })
    expect((await again()).items).toEqual([])

    const pins = await readFile(rooms.layout.pins)
    await writeFile(rooms.layout.pins, 'torn')
    expect((await rooms.sheds.list()).map(({ name }) => name)).toEqual(['web'])
    expect((await again()).items).toEqual([])
    for (const [name, , remove] of deleters.slice(0, 3)) {
      await expect(remove(rooms), name).rejects.toMatchObject({ code: 'RECORD_INVALID' })
    }
    await expect(rooms.sheds.remove('web', { force: true })).rejects.toMatchObject({ code: 'RECORD_INVALID' })
    await writeFile(rooms.layout.pins, pins)
  })

  test('a shed whose record cannot be used is protected all the same, and can be let go', async () => {
    await makeBoth(rooms)
    await rooms.sheds.protect('web', true)
    const { record } = rooms.layout.shed('web')
    await writeFile(record, '')
    await expect(rooms.sheds.remove('web', { force: true })).rejects.toMatchObject({ code: 'PINNED' })
    expect(await rooms.sheds.protect('web', false)).toMatchObject({ name: 'web', status: 'broken' })
    await rooms.sheds.remove('web', { force: true })
  })
})

/** Both are there, whole, with all that is made from them. */
async function makeBoth({ images, sheds, layout, loadMini, create }: OpenedRooms): Promise<void> {
  await images.load({ source: { stream: once(ociArchive([{ image: solo.image, ref: 'solo:1' }])) } })
  await images.ensureLower((await images.resolve('solo:1')).manifestDigest)
  // Somebody read it in part as well.
  const half = { reference: 'solo:1', data: Buffer.alloc(9000, 'x') }
  await makeLazyCache(layout, { ...half, manifest: parseDigest(soloDigest) })
  await loadMini()
  if ((await sheds.list()).length === 0) await create('web')
  await sheds.volumes.create({ name: 'data', bytes: 64 * 2 ** 20 })
  // Of mini:1: solo:1 is nobody's.
  if ((await sheds.snapshots.list()).length === 0) await sheds.snapshots.create({ shed: 'web', name: 'kept' })
}

function imageOf(content: string) {
  const layer = buildLayer([{ path: 'file', content: content.repeat(9000) }])
  const image = buildImage({ layers: [layer] })
  return { image, digests: [image.root.digest, layer.digest, layer.diffId] }
}

async function moveTagAndPrune(rooms: OpenedRooms): Promise<void> {
  await rooms.images.load({
    source: { stream: once(ociArchive([{ image: imageOf('another').image, ref: 'solo:1' }])) },
  })
  await prune(rooms, { scope: ['images', 'orphans'] })
}

async function pruneAll(rooms: OpenedRooms): Promise<void> {
  await prune(rooms, { scope: ['images', 'instances', 'layers', 'cache', 'orphans', 'logs'] })
}

async function prune({ usage }: OpenedRooms, wanted: Partial<PruneQuery>): Promise<void> {
  await usage.prune({ ...query(wanted), dry_run: false })
}

function query(wanted: Partial<PruneQuery>): PruneQuery {
  return PruneQuery.parse({ until_ms: 0, ...wanted })
}

/** Each file of the pinned thing, and which inode it is. */
async function filesOf({ layout }: OpenedRooms, kind: Kind): Promise<unknown> {
  const roots = {
    image: layout.root,
    shed: layout.shed('web').dir,
    snapshot: layout.snapshot('kept').dir,
    volume: layout.volume('data').dir,
  }
  const root = roots[kind]
  const names = await readdir(root, { recursive: true }).catch(() => [])
  const own = kind !== 'image' ? names : names.filter((name) => ofSolo.some((digits) => name.includes(digits)))
  return await Promise.all(own.sort().map(async (name) => [name, (await stat(join(root, name))).ino]))
}

async function* once(bytes: Buffer): AsyncIterable<Buffer> {
  yield bytes
}
