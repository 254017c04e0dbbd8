import { readFile, stat } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { SetLimitsRequest } from '../../src/contract/index.ts'
import { createWeb, expectAtRest } from '../support/at-rest.ts'
import { busyboxImageTools } from '../support/busybox-image.ts'
import { type FakeQemu, fakeQemu } from '../support/fake-qemu.ts'
import { needs } from '../support/needs.ts'
import { type OpenedRooms, openRoomsOn } from '../support/open-rooms.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'

/** One shed through all its states, over a fake QEMU. */
describe.runIf(needs({ tools: ['mke2fs', ...busyboxImageTools] }))('what a shed may have of its host', () => {
  let fake: FakeQemu
  let directory: TemporaryDirectory
  let rooms: OpenedRooms

  beforeAll(async () => {
    fake = await fakeQemu()
    directory = await temporaryDirectory()
    rooms = await openRoomsOn(directory.path)
    await createWeb(rooms)
  })
  afterAll(async () => {
    await rooms.sheds.remove('web', { force: true })
    await rooms[Symbol.asyncDispose]()
    await directory[Symbol.asyncDispose]()
    await fake[Symbol.asyncDispose]()
  })

  const set = async (request: object) => await rooms.sheds.setLimits('web', SetLimitsRequest.parse(request))
  const MiB = 2 ** 20

  test('is not changed while it has a VM, or its memory goes on with what it had', async () => {
    const refused = (hint: string) => ({ code: 'SHED_NOT_STOPPED', hint: expect.stringContaining(hint) })
    await expect(set({ memory_bytes: 128 * MiB })).rejects.toMatchObject(refused('cowshed stop web'))
    await rooms.sheds.pause('web')
    await expect(set({ cpus: 1 })).rejects.toMatchObject(refused('cowshed stop web'))
    await rooms.sheds.stop('web', { timeout_ms: 1000, keep_memory: true })
    await expect(set({ cpus: 1 })).rejects.toMatchObject(refused('cowshed wake web'))
    await rooms.sheds.wake('web')
    await expectAtRest(rooms)
  })

  test('is changed while it is stopped, each by itself, and is so from its next start on', async () => {
    await rooms.sheds.stop('web', { timeout_ms: 1000 })
    expect(await set({ memory_bytes: 128 * MiB })).toMatchObject({
      cpus: 1,
      memory_bytes: 128 * MiB,
      upper_bytes: 64 * MiB,
    })
    const io = { read_bytes_per_second: 2 * MiB, operations_per_second: 500 }
    expect((await set({ io })).io).toEqual(io)
    expect((await set({ io: { operations_per_second: null } })).io).toEqual({ read_bytes_per_second: 2 * MiB })
    expect(await set({ io: { read_bytes_per_second: null } })).not.toHaveProperty('io')
    await rooms.sheds.start('web')
    expect((await stat(await ramOf())).size).toBe(128 * MiB)
    // It goes on from what it was stopped with.
    await expectAtRest(rooms)
    await rooms.sheds.stop('web', { timeout_ms: 1000 })
  })

  test('is never what this host does not have', async () => {
    const before = await rooms.sheds.get('web')
    for (const [request, hint] of [
      [{ cpus: 64 }, '--cpus'],
      [{ memory_bytes: 2 ** 50 }, '--memory'],
    ] as const) {
      const problem = { code: 'INVALID_REQUEST', hint: expect.stringContaining(hint) }
      await expect(set(request), JSON.stringify(request)).rejects.toMatchObject(problem)
    }
    expect(await rooms.sheds.get('web')).toEqual(before)
    expect(() => SetLimitsRequest.parse({})).toThrow('nothing that is to change')
    expect(() => SetLimitsRequest.parse({ io: { operations_per_second: 1 } })).toThrow()
  })

  async function ramOf(): Promise<string> {
    const { memory } = JSON.parse(await readFile(rooms.layout.shed('web').machine, 'utf8')) as {
      memory: { path: string }
    }
    return memory.path
  }
})
