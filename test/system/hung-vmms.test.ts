import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isLocked } from '../../src/host/index.ts'
import { busyboxImageTools } from '../support/busybox-image.ts'
import { until } from '../support/cowshed.ts'
import { type FakeQemu, fakeQemu, installFakeKernel } from '../support/fake-qemu.ts'
import { needs } from '../support/needs.ts'
import { type OpenedRooms, openRoomsOn } from '../support/open-rooms.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

/** A fake QEMU is stopped (SIGSTOP), so that it answers nobody, or its monitor falls silent. Each is waited for some seconds, so it is for all of them at once. */
describe.runIf(needs({ tools: ['mke2fs', ...busyboxImageTools] }))('a VMM that hangs', () => {
  let fake: FakeQemu

  beforeAll(async () => {
    fake = await fakeQemu()
  })
  afterAll(async () => await fake[Symbol.asyncDispose]())

  const sleep = { timeout_ms: 1000, keep_memory: true }
  const refusal = (name: string) => ({ code: 'MACHINE_FAILED', hint: expect.stringContaining(`cowshed stop ${name}`) })
  const stopped = (why: string) => ({ status: 'stopped', status_reason: expect.stringContaining(why) })

  test.concurrent('is not paused, put to sleep or woken, and whoever asked is told the way out; it goes on when it comes back', async () => {
    await using place = await placeWith('pausing', 'sleeping', 'waking')
    const { sheds } = place.rooms
    await sheds.pause('waking')
    for (const name of ['pausing', 'sleeping', 'waking']) await place.signal(name, 'SIGSTOP')
    await Promise.all([
      expect(sheds.pause('pausing')).rejects.toMatchObject(refusal('pausing')),
      expect(sheds.stop('sleeping', sleep)).rejects.toMatchObject(refusal('sleeping')),
      expect(sheds.wake('waking')).rejects.toMatchObject(refusal('waking')),
    ])
    for (const name of ['pausing', 'sleeping', 'waking']) {
      await place.signal(name, 'SIGCONT')
      expect((await sheds.start(name)).status).toBe('running')
      // Its guest answers: it runs indeed.
      using use = await sheds.useAgent(name)
      await use.agent.sync()
      expect((await sheds.stop(name, sleep)).status).toBe('cold')
      expect(await place.hasVm(name)).toBe(false)
    }
  })

  test.concurrent('is ended by a stop and by a removal, whatever it was', async () => {
    await using place = await placeWith('still', 'running', 'removed')
    const { sheds } = place.rooms
    await sheds.volumes.create({ name: 'data', bytes: 64 * 2 ** 20 })
    await sheds.stop('removed', { timeout_ms: 1000 })
    await sheds.attachVolume('removed', { volume: 'data', path: '/data', read_only: false })
    await sheds.start('removed')
    for (const name of ['still', 'removed']) await sheds.pause(name)
    for (const name of ['still', 'running', 'removed']) await place.signal(name, 'SIGSTOP')
    const [still, running] = await Promise.all([
      sheds.stop('still', { timeout_ms: 60_000 }),
      sheds.stop('running', { timeout_ms: 100 }),
      sheds.remove('removed', { force: true }),
    ])
    expect(still).toMatchObject(stopped('could not be asked'))
    expect(running).toMatchObject(stopped('did not shut down'))
    for (const name of ['still', 'running', 'removed']) expect(await place.hasVm(name)).toBe(false)
  })

  test.concurrent('is ended by the stop of a daemon that cannot take it over', async () => {
    await using place = await placeWith('lost', 'silent')
    for (const name of ['lost', 'silent']) {
      await place.signal(name, 'SIGUSR2')
      const log = place.rooms.layout.shed(name).vmmLog
      await until(async () => (await readFile(log, 'utf8')).includes('mute'), `${name} answers nobody`)
    }
    await place.reopen()
    const { sheds } = place.rooms
    expect((await sheds.get('lost')).status).toBe('running')
    const [lost] = await Promise.all([
      sheds.stop('lost', { timeout_ms: 1000 }),
      expect(sheds.pause('silent')).rejects.toMatchObject(refusal('silent')),
    ])
    expect(lost).toMatchObject(stopped('answered nobody'))
    expect(await place.hasVm('lost')).toBe(false)
    expect((await sheds.start('lost')).status).toBe('running')
  })
})

interface Place extends AsyncDisposable {
  rooms: OpenedRooms
  /** As another daemon does. */
  reopen(): Promise<void>
  signal(name: string, signal: NodeJS.Signals): Promise<void>
  hasVm(name: string): Promise<boolean>
}

/** Sheds that run. */
async function placeWith(...names: string[]): Promise<Place> {
  const directory = await temporaryDirectory()
  const place: Place = {
    rooms: await openRoomsOn(directory.path),
    async reopen() {
      await place.rooms[Symbol.asyncDispose]()
      place.rooms = await openRoomsOn(directory.path)
    },
    async signal(name, signal) {
      process.kill((await place.rooms.sheds.get(name)).pid ?? Number.NaN, signal)
    },
    hasVm: async (name) => await isLocked(place.rooms.layout.shed(name).vmmLock),
    async [Symbol.asyncDispose]() {
      for (const { name } of await place.rooms.sheds.list()) await place.rooms.sheds.remove(name, { force: true })
      await place.rooms[Symbol.asyncDispose]()
      await directory[Symbol.asyncDispose]()
    },
  }
  await installFakeKernel(place.rooms.layout)
  await place.rooms.loadMini()
  for (const name of names) {
    await place.rooms.create(name, { memory_bytes: 64 * 2 ** 20 })
    await place.rooms.sheds.start(name)
  }
  return place
}
