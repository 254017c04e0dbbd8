import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createWeb } from '../support/at-rest.ts'
import { busyboxImageTools } from '../support/busybox-image.ts'
import { type FakeQemu, fakeQemu } from '../support/fake-qemu.ts'
import { needs } from '../support/needs.ts'
import { runScript } from '../support/node-script.ts'
import { type OpenedRooms, openRoomsOn } from '../support/open-rooms.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const script = new URL('./cut-copies.testkit.ts', import.meta.url)

/** A fake QEMU keeps count of what a guest has written, so RAM that goes on with another disk is noticed. */
describe.runIf(needs({ tools: ['mke2fs', ...busyboxImageTools] }))('copies of a running shed', () => {
  let fake: FakeQemu

  beforeAll(async () => {
    fake = await fakeQemu()
  })
  afterAll(async () => await fake[Symbol.asyncDispose]())

  // Each from what is there before: to be killed at a late step, none need be taken again that belongs to another.
  test.concurrent.each([
    ['snapshot', ['web', 'web mem']],
    ['create', ['web mem', 'copy,web mem']],
    ['fork', ['copy', 'copy,fork']],
  ])('%s, and kill -9 of the daemon at any step: a copy is whole or not there; the shed goes on', async (verb, all) => {
    await using place = await temporaryDirectory()
    {
      await using rooms = await openRoomsOn(place.path)
      await prepare(rooms, verb)
    }
    const found = new Set<string>()
    for (let step = 0; ; step++) {
      const { stdout, code, signal } = await runScript(script, [verb, String(step), place.path], fake.env)
      for (const [, what = ''] of stdout.matchAll(/^found (.*)$/gm)) found.add(what)
      if (signal === 'SIGKILL') continue
      expect(code).toBe(0)
      break
    }
    expect(found).toEqual(new Set(all))
    await using rooms = await openRoomsOn(place.path)
    for (const { name } of await rooms.sheds.list()) await rooms.sheds.remove(name, { force: true })
  })
})

/** What is there before a verb is cut off: for `fork` a shed that has gone on from a snapshot. */
async function prepare(rooms: OpenedRooms, verb: string): Promise<void> {
  const { volumes, snapshots } = rooms.sheds
  await volumes.create({ name: 'data', bytes: 64 * 2 ** 20 })
  await createWeb(rooms, { volumes: [{ volume: 'data', path: '/data', read_only: false }] })
  if (verb === 'snapshot') return
  await snapshots.create({ shed: 'web', name: 'mem', memory: true })
  if (verb === 'create') return
  await rooms.create('copy', { image: undefined, from_snapshot: 'mem', memory_bytes: 64 * 2 ** 20, start: true })
  await rooms.sheds.remove('web', { force: true })
  await volumes.remove('data', { force: true })
  await snapshots.remove('mem', { force: true })
}
