import { readdir, rm, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isProblem } from '../../src/base/index.ts'
import { createWeb, expectAtRest } from '../support/at-rest.ts'
import { busyboxImageTools } from '../support/busybox-image.ts'
import { until } from '../support/cowshed.ts'
import { type FakeQemu, fakeQemu } from '../support/fake-qemu.ts'
import { toolsFor } from '../support/filesystems.ts'
import { fillToTheBlock } from '../support/fill-to-the-block.ts'
import { mountFresh } from '../support/mount-filesystem.ts'
import { needs } from '../support/needs.ts'
import { type OpenedRooms, openRoomsOn } from '../support/open-rooms.ts'

const tools = ['mke2fs', ...busyboxImageTools, ...toolsFor('ext4')]
const ramBytes = 64 * 2 ** 20

/** Over a fake QEMU, which keeps count of what a guest has written. */
describe.runIf(needs({ root: true, tools }))('copies of a running shed on a disk that is full', () => {
  let fake: FakeQemu

  beforeAll(async () => {
    fake = await fakeQemu()
  })
  afterAll(async () => await fake[Symbol.asyncDispose]())

  test('are all there or not there at all, and their shed runs on', async () => {
    await using disk = await mountFresh('ext4', 128 * 2 ** 20)
    await tryAll(disk.directory)
  })
})

type Verb = 'snapshot' | 'create' | 'fork' | 'forks'

async function tryAll(directory: string): Promise<void> {
  await using rooms = await openRoomsOn(directory)
  await rooms.sheds.volumes.create({ name: 'data', bytes: 64 * 2 ** 20 })
  await createWeb(rooms, { volumes: [{ volume: 'data', path: '/data', read_only: false }] })
  await rooms.sheds.snapshots.create({ shed: 'web', name: 'mem', memory: true })
  const { pid } = await rooms.sheds.get('web')
  const failedAt: Record<Verb, Set<string>> = {
    snapshot: new Set(),
    create: new Set(),
    fork: new Set(),
    forks: new Set(),
  }
  let enough = 0
  for (const verb of ['snapshot', 'create', 'fork', 'forks'] as const) {
    // One after the other of all that is written finds no space, until all of it does; many find what one does before.
    const isMany = verb === 'forks'
    for (let left = isMany ? enough : 0; ; left += isMany ? 16 * stepBytes : stepBytes) {
      const why = await tryOnce(rooms, { verb, left, directory })
      expect(await expectAtRest(rooms), `${verb} with ${left} bytes`).toMatchObject({ status: 'running', pid })
      enough = left
      if (why === undefined) break
      failedAt[verb].add(why)
    }
    expect(await names(rooms)).toEqual(expect.arrayContaining(madeBy[verb]))
    await removeMade(rooms)
  }
  const copied = ['upper.ext4', 'data.ext4']
  const of = (verb: Verb) => [...failedAt[verb]]
  expect(of('snapshot')).toEqual(expect.arrayContaining(['staging', ...copied, 'mem.snap']))
  expect(of('create')).toEqual(expect.arrayContaining(['staging', ...copied]))
  expect(of('fork')).toEqual(expect.arrayContaining(['staging', ...copied, 'mem.snap']))
  expect(of('forks')).not.toEqual([])
  await rooms.sheds.remove('web', { force: true })
}

const stepBytes = 4096

const madeBy: Record<Verb, string[]> = {
  snapshot: ['new'],
  create: ['copy'],
  fork: ['copy'],
  forks: ['copy-1', 'copy-2', 'copy-3'],
}

interface Try {
  readonly verb: Verb
  /** So much of the disk is free. */
  readonly left: number
  readonly directory: string
}

/** @returns the name of what found no space; undefined when all is there */
async function tryOnce(rooms: OpenedRooms, { verb, left, directory }: Try): Promise<string | undefined> {
  const filler = join(directory, 'filler')
  const before = await freeBytes(rooms)
  await fillToTheBlock(filler, left)
  try {
    await make(rooms, verb)
    return undefined
  } catch (error) {
    if (!isProblem(error, 'NO_SPACE')) throw error
    if (verb === 'forks') expect(error.message).toMatch(/^of 3 forks none is there: /)
    await rm(filler)
    expect([await names(rooms), await readdir(rooms.layout.staging)]).toEqual([['web', 'data', 'mem'], []])
    await until(async () => (await freeBytes(rooms)) === before, `all of the space is back after: ${error.message}`)
    return /([^/]*): no space left$/.exec(error.message)?.[1] ?? error.message
  } finally {
    await rm(filler, { force: true })
  }
}

async function make(rooms: OpenedRooms, verb: Verb): Promise<void> {
  if (verb === 'snapshot') await rooms.sheds.snapshots.create({ shed: 'web', name: 'new', memory: true })
  else if (verb === 'fork') await rooms.sheds.fork('web', { name: 'copy' })
  else if (verb === 'forks') await rooms.sheds.fork('web', { name: 'copy', count: 3 })
  else await rooms.create('copy', { image: undefined, from_snapshot: 'mem', memory_bytes: ramBytes, start: true })
}

async function names({ sheds }: OpenedRooms): Promise<string[]> {
  const all = await Promise.all([sheds.list(), sheds.volumes.list(), sheds.snapshots.list()])
  return all.flat().map(({ name }) => name)
}

async function removeMade({ sheds }: OpenedRooms): Promise<void> {
  for (const { name } of await sheds.list()) if (name !== 'web') await sheds.remove(name, { force: true })
  for (const { name } of await sheds.volumes.list())
    if (name !== 'data') await sheds.volumes.remove(name, { force: true })
  for (const { name } of await sheds.snapshots.list())
    if (name !== 'mem') await sheds.snapshots.remove(name, { force: true })
}

/** What is free, and what the index has of it, which grows with every event. */
async function freeBytes({ layout }: OpenedRooms): Promise<number> {
  const { bsize, bavail } = await statfs(layout.root)
  const index = ['', '-wal', '-shm'].map(async (suffix) => await stat(layout.indexDb + suffix).catch(() => undefined))
  return (await Promise.all(index)).reduce((sum, file) => sum + (file?.blocks ?? 0) * 512, bsize * bavail)
}
