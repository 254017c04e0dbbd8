import { open, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { SetLimitsRequest } from '../../src/contract/index.ts'
import { expectAtRest } from '../support/at-rest.ts'
import { busyboxImageTools } from '../support/busybox-image.ts'
import { fsckExt4 } from '../support/ext4-mount.ts'
import { type FakeWeb, fakeWeb } from '../support/fake-web.ts'
import { needs } from '../support/needs.ts'
import type { OpenedRooms } from '../support/open-rooms.ts'

/** One shed through all its states, over a fake QEMU. */
describe.runIf(needs({ tools: ['mke2fs', 'e2fsck', ...busyboxImageTools] }))('what a shed may have of its host', () => {
  let web: FakeWeb
  let rooms: OpenedRooms

  beforeAll(async () => {
    web = await fakeWeb()
    rooms = web.rooms
  })
  afterAll(async () => await web[Symbol.asyncDispose]())

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

  test('is a larger disk at once, never a smaller one, and what is on it is in order', async () => {
    const before = await rooms.sheds.get('web')
    const refused = { code: 'INVALID_REQUEST', message: expect.stringContaining('can only grow') }
    await expect(set({ memory_bytes: 64 * MiB, upper_bytes: 64 * MiB - 4096 })).rejects.toThrow()
    await growTo(80 * MiB)
    await expect(set({ memory_bytes: 64 * MiB, upper_bytes: 64 * MiB })).rejects.toMatchObject(refused)
    // All of it or nothing.
    expect(await rooms.sheds.get('web')).toEqual({ ...before, upper_bytes: 80 * MiB })
    // What is no whole number of blocks has one more.
    await growTo(300_000_000, 300_003_328)
    // A snapshot has the disk as it is; a shed that is made of it, too.
    await rooms.sheds.snapshots.create({ shed: 'web', name: 'kept' })
    expect(await rooms.sheds.snapshots.get('kept')).toMatchObject({ status: 'whole', bytes: 300_003_328 })
    await rooms.sheds.snapshots.remove('kept', { force: true })
    await rooms.sheds.start('web')
    await expectAtRest(rooms)
    await rooms.sheds.stop('web', { timeout_ms: 1000 })
  })

  test('is what the disk says, when whoever made it larger was killed before the record said so', async () => {
    const { record } = rooms.layout.shed('web')
    const written = JSON.parse(await readFile(record, 'utf8')) as { upper_bytes: number }
    await writeFile(record, JSON.stringify({ ...written, upper_bytes: 80 * MiB }))
    await rooms.sheds.snapshots.create({ shed: 'web', name: 'kept' })
    expect(await rooms.sheds.snapshots.get('kept')).toMatchObject({ status: 'whole', bytes: written.upper_bytes })
    await rooms.sheds.snapshots.remove('kept', { force: true })
    expect((await rooms.sheds.get('web')).upper_bytes).toBe(written.upper_bytes)
  })

  test('is no larger disk while its filesystem is not in order', async () => {
    const { upper } = rooms.layout.shed('web')
    const before = await stat(upper)
    await using file = await open(upper, 'r+')
    const superblock = Buffer.alloc(1024)
    await file.read(superblock, 0, 1024, 1024)
    await file.write(Buffer.from([superblock.readUInt8(0x60) | 4]), 0, 1, 1024 + 0x60)
    await expect(set({ upper_bytes: 2 ** 30 })).rejects.toMatchObject({
      code: 'EXT4_INVALID',
      hint: expect.stringContaining('start the shed and stop it'),
    })
    expect(await stat(upper)).toMatchObject({ ino: before.ino, size: before.size })
    await file.write(superblock, 0, 1024, 1024)
    expect(await readdir(rooms.layout.staging)).toEqual([])
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

  async function growTo(bytes: number, has = bytes): Promise<void> {
    expect(await set({ upper_bytes: bytes })).toMatchObject({ upper_bytes: has })
    const { upper } = rooms.layout.shed('web')
    expect(await stat(upper)).toMatchObject({ size: has, mode: 0o100600 })
    await fsckExt4(upper)
    expect(await readdir(rooms.layout.staging)).toEqual([])
  }

  async function ramOf(): Promise<string> {
    const { memory } = JSON.parse(await readFile(rooms.layout.shed('web').machine, 'utf8')) as {
      memory: { path: string }
    }
    return memory.path
  }
})
