import { readdir, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { isProblem } from '../../src/base/index.ts'
import { PruneQuery, type PruneReport, type PruneScope } from '../../src/contract/index.ts'
import { busyboxImageTools } from '../support/busybox-image.ts'
import { needs } from '../support/needs.ts'
import { runScript } from '../support/node-script.ts'
import { type OpenedRooms, openRoomsOn } from '../support/open-rooms.ts'
import { registryTools, startRegistry } from '../support/registry.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const everything = ['instances', 'images', 'layers', 'cache', 'orphans', 'logs'] as const
const killedPrune = new URL('./killed-prune.testkit.ts', import.meta.url)
/** So many turns of the event loop the removal begins after what it races with, or before it: wholly before, too. What either awaits makes each of them another race. */
const offsets = [Number.NEGATIVE_INFINITY, -3000, 0, 30]

describe.runIf(needs({ tools: ['mke2fs', ...busyboxImageTools] }))('a prune at the same time as', () => {
  test('a create: there is the shed, with all that it needs, or there was no image', async () => {
    await withRooms(async (rooms) => {
      const outcomes = new Set<string>()
      for (const offset of offsets) {
        await rooms.loadMini()
        const created = await duringRemoval(rooms.images, offset, {
          work: () => rooms.create('web'),
          prune: () => prune(rooms, ['images']),
        })
        outcomes.add(created)
        const { sheds, images } = rooms
        expect((await sheds.list()).map(({ name, status }) => [name, status])).toEqual(
          created === 'done' ? [['web', 'stopped']] : [],
        )
        if (created === 'done') {
          // With its blobs and its lower, whether a tag is left or not.
          const { image } = await sheds.get('web')
          expect(await images.verify({ refs: [], repair: false })).toMatchObject({ findings: [] })
          await images.ensureLower((await images.resolve(image.manifest_digest)).manifestDigest)
          await sheds.remove('web', { force: false })
        } else expect(created).toBe('IMAGE_NOT_FOUND')
      }
      expect(outcomes).toEqual(new Set(['done', 'IMAGE_NOT_FOUND']))
    })
  })

  test('a reset: the shed is gone, or whole', async () => {
    await withRooms(async (rooms) => {
      const outcomes = new Set<string>()
      await rooms.loadMini()
      for (const offset of offsets) {
        if ((await rooms.sheds.list()).length === 0) await rooms.create('web')
        const reset = await duringRemoval(rooms.sheds, offset, {
          work: () => rooms.sheds.reset('web'),
          prune: () => prune(rooms, ['instances']),
        })
        outcomes.add(reset)
        const left = await rooms.sheds.list()
        expect(left.every(({ status }) => status === 'stopped')).toBe(true)
        if (left.length === 0) expect(await readdir(rooms.layout.sheds)).toEqual([])
        else expect((await stat(rooms.layout.shed('web').upper)).size).toBe(64 * 2 ** 20)
        if (reset !== 'done') expect([reset, left]).toEqual(['SHED_NOT_FOUND', []])
      }
      expect(await readdir(rooms.layout.staging)).toEqual([])
      expect(outcomes).toEqual(new Set(['done', 'SHED_NOT_FOUND']))
    })
  })

  test('a load of what it takes for orphans: the image is whole', async () => {
    await withRooms(async (rooms) => {
      const { images, layout, usage } = rooms
      for (const offset of [0, 2, 10, 150]) {
        await rooms.loadMini()
        await orphanAll(rooms)
        const plan = await usage.prune(query({ scope: ['orphans'] }))
        expect(plan.items.length).toBeGreaterThan(3)
        const carryOut = () => usage.prune({ ...query({}), dry_run: false, plan_id: plan.plan_id })
        await Promise.all([rooms.loadMini(), later(offset, carryOut)])
        expect(await images.verify({ refs: [], repair: false })).toMatchObject({ findings: [] })
        await images.ensureLower((await images.resolve('mini:1')).manifestDigest)
        expect(await readdir(layout.staging)).toEqual([])
      }
    })
  })

  test.runIf(needs({ tools: registryTools }))(
    'a pull from a registry: nothing that it has brought goes, however old it looks',
    async () => {
      await using registry = await startRegistry()
      await withRooms(async (rooms) => {
        const { images, layout } = rooms
        const ref = `${registry.host}/mini:1`
        await rooms.loadMini()
        await images.push({ ref: 'mini:1', destination: ref, insecure: true })
        await prune(rooms, ['images', 'cache'])
        expect(await images.list()).toEqual([])

        const pull = images.pull({ ref, insecure: true })
        const ended = pull.then(
          () => true,
          () => true,
        )
        let sweeps = 0
        for (; !(await Promise.race([ended, nextTurn(false)])); sweeps++) {
          await makeOld(layout.root)
          await prune(rooms, ['orphans', 'cache'])
        }
        expect(sweeps).toBeGreaterThan(0)
        expect((await pull).outcome).toBe('pulled')
        expect(await images.verify({ refs: [], repair: false })).toMatchObject({ findings: [] })
        await images.ensureLower((await images.resolve(ref)).manifestDigest)
        expect(await readdir(layout.staging)).toEqual([])
      })
    },
  )

  test('another prune: each thing goes once, and what is pinned not at all', async () => {
    await withRooms(async (rooms) => {
      await rooms.loadMini()
      await rooms.images.pin('mini:1', true)
      for (const name of ['a', 'b', 'c']) await rooms.create(name)
      await rooms.sheds.protect('b', true)
      const both = await Promise.all([prune(rooms, everything), later(3, () => prune(rooms, everything))])
      const gone = both.flatMap(({ items }) => items.map(({ kind, name, path }) => `${kind} ${name ?? path}`))
      expect(gone.sort()).toEqual(['instance a', 'instance c'])
      expect((await rooms.sheds.list()).map(({ name }) => name)).toEqual(['b'])
      expect(await rooms.images.verify({ refs: [], repair: false })).toMatchObject({ findings: [] })
    })
  })

  test('a kill -9, again and again: what was to stay is whole, and the last one finishes', async () => {
    await using directory = await temporaryDirectory()
    const names = { kept: '', gone: '' }
    {
      await using rooms = await openRoomsOn(directory.path)
      await rooms.loadMini()
      await rooms.create('kept')
      await rooms.create('goes')
      await rooms.sheds.protect('kept', true)
      names.kept = (await rooms.sheds.get('kept')).id
    }
    const steps: string[] = []
    for (let runs = 0; ; runs++) {
      // Each run is let take three steps more, from where the last one was killed.
      const { stdout, code, signal } = await runScript(killedPrune, [`${3 * runs}`, directory.path])
      steps.push(...stdout.trim().split('\n'))
      await using rooms = await openRoomsOn(directory.path)
      expect(await rooms.sheds.get('kept')).toMatchObject({ id: names.kept, status: 'stopped', protected: true })
      expect(await rooms.images.verify({ refs: [], repair: false })).toMatchObject({ findings: [] })
      if (code !== 0) expect([signal, runs < 60]).toEqual(['SIGKILL', true])
      else {
        expect((await rooms.sheds.list()).map(({ name }) => name)).toEqual(['kept'])
        await rooms.images.ensureLower((await rooms.images.resolve('mini:1')).manifestDigest)
        break
      }
    }
    expect(steps.some((step) => step.startsWith('rename'))).toBe(true)
    expect(steps.filter((step) => step.startsWith('rm')).length).toBeGreaterThan(3)
  })
})

async function withRooms(use: (rooms: OpenedRooms) => Promise<void>): Promise<void> {
  await using directory = await temporaryDirectory()
  await using rooms = await openRoomsOn(directory.path)
  await use(rooms)
}

interface Remover {
  remove(...args: never[]): Promise<unknown>
}

/** Carries out a prune, and has something else begin when it comes to its removal. @returns how that ended: `done`, or its code */
async function duringRemoval(
  room: Remover,
  offset: number,
  { work, prune: carryOut }: { readonly work: () => Promise<unknown>; readonly prune: () => Promise<unknown> },
): Promise<string> {
  const { remove } = room
  let ended: Promise<string> | undefined
  room.remove = async (...args) => {
    if (offset === Number.NEGATIVE_INFINITY) {
      const removed = await remove.apply(room, args)
      ended ??= outcomeOf(work)
      return removed
    }
    ended ??= later(-offset, () => outcomeOf(work))
    return await later(offset, () => remove.apply(room, args))
  }
  try {
    await carryOut()
    return (await ended) ?? 'never begun'
  } finally {
    room.remove = remove
  }
}

async function later<T>(turns: number, work: () => Promise<T>): Promise<T> {
  for (let turn = 0; turn < turns; turn++) await nextTurn()
  return await work()
}

async function outcomeOf(work: () => Promise<unknown>): Promise<string> {
  try {
    await work()
    return 'done'
  } catch (error) {
    if (!isProblem(error)) throw error
    return error.code
  }
}

function query(wanted: Partial<PruneQuery>): PruneQuery {
  return PruneQuery.parse({ until_ms: 0, ...wanted })
}

function prune({ usage }: OpenedRooms, scope: readonly PruneScope[]): Promise<PruneReport> {
  return usage.prune({ ...query({ scope: [...scope] }), dry_run: false })
}

/** What a crash between the blobs and the tag of a load leaves, hours ago. */
async function orphanAll({ layout, images }: OpenedRooms): Promise<void> {
  await writeFile(layout.imageIndex, '{"schemaVersion":2,"manifests":[]}\n')
  expect(await images.list()).toEqual([])
  await makeOld(layout.root)
}

/** Every file that is there now, and stays for so long, looks as if nobody had touched it for years. What is being made goes meanwhile, whole directories of it. */
async function makeOld(directory: string): Promise<void> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => [])
  for (const entry of entries) {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) await makeOld(path)
    else if (entry.isFile()) await utimes(path, 1e9, 1e9).catch(() => undefined)
  }
}
