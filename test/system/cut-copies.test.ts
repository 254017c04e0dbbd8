import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { dataLayout } from '../../src/base/index.ts'
import { runTool, sweepStaging } from '../../src/host/index.ts'
import { createWeb } from '../support/at-rest.ts'
import { busyboxImageTools } from '../support/busybox-image.ts'
import { type FakeQemu, fakeQemu } from '../support/fake-qemu.ts'
import { toolsFor } from '../support/filesystems.ts'
import { keptDisks } from '../support/keep-disk.ts'
import { mountFile, mountFresh } from '../support/mount-filesystem.ts'
import { needs } from '../support/needs.ts'
import { runScript } from '../support/node-script.ts'
import { type OpenedRooms, openRoomsOn } from '../support/open-rooms.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const script = new URL('./cut-copies.testkit.ts', import.meta.url)
/** What each of them finds when it is cut off: sheds, snapshots. */
const outcomes = [
  ['snapshot', ['web', 'web disks', 'web disks,mem']],
  ['create', ['web mem', 'copy,web mem']],
  ['fork', ['copy', 'copy,fork']],
] as const
/** It is always there: which files its memory is in, where they are looked at. */
const compressed = ['web mem.snap', 'web mem.snap.zst', 'web mem.snap,mem.snap.zst']

/** A fake QEMU keeps count of what a guest has written, so RAM that goes on with another disk is noticed. */
describe.runIf(needs({ tools: ['mke2fs', ...busyboxImageTools] }))('copies of a running shed', () => {
  let fake: FakeQemu

  beforeAll(async () => {
    fake = await fakeQemu()
  })
  afterAll(async () => await fake[Symbol.asyncDispose]())

  // Each from what is there before: to be killed at a late step, none need be taken again that belongs to another.
  test.concurrent.each([...outcomes, ['compress', compressed] as const])(
    '%s, and kill -9 of the daemon at any step: a copy is whole or not there; the shed goes on',
    async (verb, all) => {
      await using place = await temporaryDirectory()
      await prepare(place.path, verb)
      const found = new Set<string>()
      for (let step = 0; ; step++) {
        const { stdout, code, signal } = await runScript(script, [verb, 'daemon', String(step), place.path], fake.env)
        for (const [, what = ''] of stdout.matchAll(/^found (.*)$/gm)) found.add(what)
        if (signal === 'SIGKILL') continue
        expect(code).toBe(0)
        break
      }
      expect(found).toEqual(new Set(all))
      await removeSheds(place.path)
    },
  )

  const able = needs({ root: true, tools: toolsFor('ext4') })
  test.runIf(able).each([...outcomes, ['compress', ['web mem']] as const])(
    '%s, and a crash of the host, which loses what was not synced: a copy is whole or not there, and stays once it was told of',
    async (verb, all) => {
      await using disk = await mountFresh('ext4', 128 * 2 ** 20)
      await prepare(disk.directory, verb)
      // The kernel that the test has put there.
      await runTool('sync', ['-f', disk.directory])
      const { code } = await runScript(script, [verb, 'host', disk.backing, disk.directory], fake.env)
      expect(code).toBe(0)
      const [whenDone] = await keptDisks(disk.backing, `${verb}-done`)
      const found = new Set<string>()
      for (const kept of await keptDisks(disk.backing, verb)) {
        const what = await afterCrash(kept, verb)
        found.add(what)
        if (kept === whenDone) expect(what).toBe(all.at(-1))
      }
      expect(found).toEqual(new Set(all))
      await removeSheds(disk.directory)
    },
  )
})

/** What is there before a verb is cut off: for `fork` a shed that has gone on from a snapshot, for others but the first that snapshot. */
async function prepare(directory: string, verb: string): Promise<void> {
  await using rooms = await openRoomsOn(directory)
  const { volumes, snapshots } = rooms.sheds
  await volumes.create({ name: 'data', bytes: 64 * 2 ** 20 })
  await createWeb(rooms, { volumes: [{ volume: 'data', path: '/data', read_only: false }] })
  if (verb === 'snapshot') return
  await snapshots.create({ shed: 'web', name: 'mem', memory: true })
  if (verb !== 'fork') return
  await rooms.create('copy', { image: undefined, from_snapshot: 'mem', memory_bytes: 64 * 2 ** 20, start: true })
  await rooms.sheds.remove('web', { force: true })
  await volumes.remove('data', { force: true })
  await snapshots.remove('mem', { force: true })
}

async function removeSheds(directory: string): Promise<void> {
  await using rooms = await openRoomsOn(directory)
  await removeAll(rooms)
}

async function removeAll({ sheds }: OpenedRooms): Promise<void> {
  for (const { name } of await sheds.list()) await sheds.remove(name, { force: true })
}

/** A host begins again with a disk that was kept. @returns what is there */
async function afterCrash(backing: string, verb: string): Promise<string> {
  await using disk = await mountFile(backing)
  return await runAgain(disk.directory, verb)
}

async function runAgain(directory: string, verb: string): Promise<string> {
  await sweepStaging(dataLayout(join(directory, 'data')))
  await using rooms = await openRoomsOn(directory)
  try {
    return await expectUsable(rooms, verb)
  } finally {
    await removeAll(rooms)
  }
}

/** Every shed has crashed, and all that is new can be used: a copy is started, and what is made of a memory goes on from it. @returns what is there */
async function expectUsable({ sheds, layout, create }: OpenedRooms, verb: string): Promise<string> {
  const [before, snapshots] = [await sheds.list(), await sheds.snapshots.list()]
  for (const { name, status } of before) {
    expect(status, name).toBe('crashed')
    if (name === newOf[verb]) await sheds.start(name)
  }
  for (const { name, status } of snapshots) {
    expect(status, name).toBe('whole')
    expect(await guestWrites(layout.snapshot(name).upper), name).toBeGreaterThan(0n)
    if (name !== newOf[verb]) continue
    await create('copy', { image: undefined, from_snapshot: name, memory_bytes: 64 * 2 ** 20, start: true })
    expect(await readFile(layout.shed('copy').vmmLog, 'utf8')).not.toContain('WRONG RESUME')
  }
  const volumes = (await sheds.volumes.list()).map(({ name }) => name)
  const all = (await sheds.list()).map(({ name }) => name)
  expect(volumes).toEqual(all.map((name) => (name === 'web' ? 'data' : `${name}-data`)).sort())
  return [before, snapshots]
    .map((some) => some.map(({ name }) => name).join())
    .join(' ')
    .trim()
}

const newOf: Readonly<Record<string, string>> = { snapshot: 'mem', create: 'copy', fork: 'fork', compress: 'mem' }

/** How often the guest of a fake QEMU has written to a disk. */
async function guestWrites(disk: string): Promise<bigint> {
  await using file = await open(disk)
  return (await file.read(Buffer.alloc(8), 0, 8, 0)).buffer.readBigUInt64LE()
}
