import { open, readdir } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createWeb } from '../support/at-rest.ts'
import { busyboxImageTools } from '../support/busybox-image.ts'
import { type FakeQemu, fakeQemu } from '../support/fake-qemu.ts'
import { needs } from '../support/needs.ts'
import { type OpenedRooms, openRoomsOn } from '../support/open-rooms.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'

const bytes = 64 * 2 ** 20
const damaged = { code: 'MEMORY_DAMAGED', hint: expect.stringContaining('--cold-boot') }

/** Over a fake QEMU: each test goes on where the one before it ended. */
describe.runIf(needs({ tools: ['mke2fs', ...busyboxImageTools] }))('a volume that a shed only reads', () => {
  let fake: FakeQemu
  let place: TemporaryDirectory
  let rooms: OpenedRooms

  beforeAll(async () => {
    fake = await fakeQemu()
    place = await temporaryDirectory()
    rooms = await openRoomsOn(place.path)
    await rooms.sheds.volumes.create({ name: 'data', bytes })
    await createWeb(rooms, { volumes: [{ volume: 'data', path: '/data', read_only: true }] })
  })
  afterAll(async () => {
    for (const { name } of await rooms.sheds.list()) await rooms.sheds.remove(name, { force: true })
    await rooms[Symbol.asyncDispose]()
    await place[Symbol.asyncDispose]()
    await fake[Symbol.asyncDispose]()
  })

  const goOn = async (name: string, more: { readonly cold_boot?: boolean } = {}) =>
    await rooms.create(name, { image: undefined, from_snapshot: 'mem', memory_bytes: bytes, start: true, ...more })
  const expectReader = async (name: string) =>
    expect(await rooms.sheds.get(name)).toMatchObject({
      status: 'running',
      volumes: [{ volume: 'data', path: '/data', read_only: true }],
    })
  const names = async () => (await rooms.sheds.list()).map(({ name }) => name)

  test('is read by all copies of its memory, and none is made of it', async () => {
    await rooms.sheds.snapshots.create({ shed: 'web', name: 'mem', memory: true })
    await goOn('copy')
    await rooms.sheds.fork('copy', { name: 'fork' })
    for (const name of ['web', 'copy', 'fork']) await expectReader(name)
    expect(await rooms.sheds.volumes.list()).toMatchObject([{ name: 'data' }])
  })

  test('and that was written to since has nobody go on from that memory, be it a snapshot or asleep; their disks boot', async () => {
    await rooms.sheds.stop('web', { timeout_ms: 1000, keep_memory: true })
    for (const name of ['copy', 'fork']) await rooms.sheds.remove(name, { force: true })
    // As a shed that has it to write does.
    await using file = await open(rooms.layout.volume('data').data, 'r+')
    await file.write(Buffer.from([1]), 0, 1, 0)
    await expect(goOn('late')).rejects.toMatchObject(damaged)
    await expect(rooms.sheds.fork('web', { name: 'late' })).rejects.toMatchObject(damaged)
    await expect(rooms.sheds.wake('web')).rejects.toMatchObject(damaged)
    expect([await names(), await readdir(rooms.layout.staging)]).toEqual([['web'], []])
    await goOn('late', { cold_boot: true })
    await expectReader('late')
    await rooms.sheds.fork('late', { name: 'later' })
    await expectReader('later')
  })
})
