import { existsSync } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isProblem } from '../../src/base/index.ts'
import { bringTo, createWeb, expectAtRest } from '../support/at-rest.ts'
import { busyboxImageTools } from '../support/busybox-image.ts'
import { compressNow } from '../support/compress-now.ts'
import { type FakeQemu, fakeQemu } from '../support/fake-qemu.ts'
import { toolsFor } from '../support/filesystems.ts'
import { fillToTheBlock } from '../support/fill-to-the-block.ts'
import { mountFresh } from '../support/mount-filesystem.ts'
import { needs } from '../support/needs.ts'
import { type OpenedRooms, openRoomsOn } from '../support/open-rooms.ts'

/** So much is left of a disk that is full: one after the other of all that is written finds no space. */
const left = [0, 4, 8, 12, 16, 20, 28, 40, 64, 512]

const tools = ['mke2fs', ...busyboxImageTools, ...toolsFor('ext4')]

/** Over a fake QEMU, which keeps count of what a guest has written. */
describe.runIf(needs({ root: true, tools }))('a sleep and a wake on a disk that is full', () => {
  let fake: FakeQemu

  beforeAll(async () => {
    fake = await fakeQemu()
  })
  afterAll(async () => await fake[Symbol.asyncDispose]())

  test('it runs on, or sleeps as it did, and does either when there is space', async () => {
    await using disk = await mountFresh('ext4', 64 * 2 ** 20)
    await tryAll(disk.directory)
  })

  test('its memory stays as it was where there is no space to compress it', async () => {
    await using disk = await mountFresh('ext4', 64 * 2 ** 20)
    await tryToCompress(disk.directory)
  })
})

async function tryToCompress(directory: string): Promise<void> {
  const filler = join(directory, 'filler')
  await using rooms = await openRoomsOn(directory)
  await createWeb(rooms)
  const { memSnap, memSnapZst } = rooms.layout.shed('web')
  const outcomes = new Set<string>()
  for (const kibibytes of [0, 40, 68, 1024]) {
    await bringTo(rooms, 'running')
    await bringTo(rooms, 'cold')
    await fillToTheBlock(filler, kibibytes * 1024)
    const outcome = await compressNow(rooms, 'web').then(() => 'done', codeOf)
    outcomes.add(outcome)
    await rm(filler)
    expect([existsSync(memSnap), existsSync(memSnapZst)]).toEqual(outcome === 'done' ? [false, true] : [true, false])
    expect((await expectAtRest(rooms)).status).toBe('cold')
  }
  expect(outcomes).toEqual(new Set(['NO_SPACE', 'done']))
  await bringTo(rooms, 'running')
  await expectAtRest(rooms)
  await rooms.sheds.remove('web', { force: true })
}

function codeOf(error: unknown): string {
  if (!isProblem(error)) throw error
  return error.code
}

/** The databases of rooms that are out of sight are let go of. */
async function tryAll(directory: string): Promise<void> {
  const filler = join(directory, 'filler')
  await using rooms = await openRoomsOn(directory)
  await createWeb(rooms)
  const outcomes = { sleep: new Set<string>(), wake: new Set<string>() }
  for (const kibibytes of left) {
    for (const verb of ['sleep', 'wake'] as const) {
      await bringTo(rooms, verb === 'sleep' ? 'running' : 'cold')
      const { pid } = await rooms.sheds.get('web')
      await fillToTheBlock(filler, kibibytes * 1024)
      const outcome = await tryOnce(rooms, verb)
      outcomes[verb].add(outcome)
      await rm(filler)
      const { status, pid: after } = await expectAtRest(rooms)
      const asBefore = verb === 'sleep' ? 'running' : 'cold'
      const then = verb === 'sleep' ? 'cold' : 'running'
      expect(status, `${verb} with ${kibibytes} KiB`).toBe(outcome === 'done' ? then : asBefore)
      if (status === 'running' && verb === 'sleep') expect(after).toBe(pid)
    }
  }
  const both = new Set(['done', 'NO_SPACE'])
  expect(outcomes).toEqual({ sleep: both, wake: both })
  await expectShownAsItIs(rooms)
  await rooms.sheds.remove('web', { force: true })
}

/** Others can have taken what space there was before its record could say that it goes on. */
async function expectShownAsItIs({ layout, sheds }: OpenedRooms): Promise<void> {
  const { record } = layout.shed('web')
  const { pid } = await sheds.get('web')
  await writeFile(record, (await readFile(record, 'utf8')).replace('"running"', '"sleeping"'))
  const shown = { status: 'running', status_reason: 'it could not fall asleep', pid }
  expect(await sheds.get('web')).toMatchObject(shown)
  expect(await sheds.list()).toMatchObject([shown])
  expect(await sheds.stop('web', { timeout_ms: 1000, keep_memory: true })).toMatchObject({ status: 'cold' })
}

async function tryOnce({ sheds }: OpenedRooms, verb: 'sleep' | 'wake'): Promise<string> {
  const done = verb === 'wake' ? sheds.wake('web') : sheds.stop('web', { timeout_ms: 1000, keep_memory: true })
  return await done.then(() => 'done', codeOf)
}
