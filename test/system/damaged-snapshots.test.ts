import { readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { busyboxImageTools } from '../support/busybox-image.ts'
import { changeIdentity, changeJson, writeZeros } from '../support/damage-memory.ts'
import { type FakeWeb, fakeWeb } from '../support/fake-web.ts'
import { needs } from '../support/needs.ts'
import type { OpenedRooms } from '../support/open-rooms.ts'

type Paths = ReturnType<OpenedRooms['layout']['snapshot']>

interface Damage {
  readonly what: string
  readonly code: 'MEMORY_DAMAGED' | 'STATE_MISMATCH'
  /** Of the message. */
  readonly says: string
  readonly to: (paths: Paths) => Promise<void>
}

/** What can befall the memory in a snapshot, or what that belongs to, and leaves the snapshot whole. */
const damages: Damage[] = [
  damage('a mem.snap that is cut short', 'had 67108864', ({ memSnap }) => truncate(memSnap, 1 << 20)),
  damage('a mem.snap of zeros', 'not what was written', ({ memSnap }) => writeZeros(memSnap)),
  damage('a mem.snap of another', 'not what was written', ({ memSnap }) => writeFile(memSnap, 'x', { flag: 'r+' })),
  damage('a mem.snap that is gone', 'there is no', ({ memSnap }) => rm(memSnap)),
  damage('a vm.snap that is cut short', 'bytes, and had', ({ vmSnap }) => truncate(vmSnap, 3)),
  damage('a vm.snap of zeros', 'not what was written', ({ vmSnap }) => writeZeros(vmSnap)),
  damage('a vm.snap of another', 'not what was written', ({ vmSnap }) => writeFile(vmSnap, 'x', { flag: 'r+' })),
  damage('a vm.snap that is gone', 'there is no', ({ vmSnap }) => rm(vmSnap)),
  damage('a memory.json that is cut short', 'not JSON', ({ memoryRecord }) => truncate(memoryRecord, 40)),
  damage('a memory.json of zeros', 'not JSON', ({ memoryRecord }) => writeZeros(memoryRecord)),
  damage('a memory.json that is gone', 'there is no', ({ memoryRecord }) => rm(memoryRecord)),
  mismatch('another version of QEMU', 'driver_version', (paths) => changeIdentity(paths, { driver_version: '8.0.0' })),
  mismatch('another accelerator', 'acceleration', (paths) => changeIdentity(paths, { acceleration: 'kvm' })),
  mismatch('a kernel that is gone', 'the kernel that it was booted with', (paths) =>
    changeIdentity(paths, { kernel: 'f'.repeat(32) }),
  ),
  mismatch('a lower that was made again in another form', 'the lower of mini:1', (paths) =>
    changeJson(paths.memoryRecord, { lowers: [{ id: 'lower', bytes: 4096, head_sha256: '0'.repeat(64) }] }),
  ),
]

/** Over a fake QEMU, which knows when it goes on with RAM over a disk that was another. */
describe.runIf(needs({ tools: ['mke2fs', ...busyboxImageTools] }))('what no shed goes on from in a snapshot', () => {
  let web: FakeWeb
  let rooms: OpenedRooms

  beforeAll(async () => {
    web = await fakeWeb()
    rooms = web.rooms
  })
  afterAll(async () => await web[Symbol.asyncDispose]())

  const make = (name: string, coldBoot: boolean) =>
    rooms.create(name, {
      image: undefined,
      from_snapshot: 'mem',
      memory_bytes: 64 * 2 ** 20,
      start: true,
      ...(coldBoot ? { cold_boot: true } : {}),
    })

  test.each(damages)('$what: nothing is made, and its disk is booted', async ({ code, says, to }) => {
    await rooms.sheds.snapshots.create({ shed: 'web', name: 'mem', memory: true })
    await to(rooms.layout.snapshot('mem'))
    await expect(make('copy', false)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(says),
      hint: expect.stringContaining('--cold-boot'),
    })
    expect((await rooms.sheds.list()).map(({ name }) => name)).toEqual(['web'])
    expect(await readdir(rooms.layout.staging)).toEqual([])
    await make('copy', true)
    expect(await readFile(rooms.layout.shed('copy').vmmLog, 'utf8')).not.toContain('WRONG RESUME')
    await rooms.sheds.remove('copy', { force: true })
    await rooms.sheds.snapshots.remove('mem', { force: true })
  })

  test('a disk that is gone: the snapshot is broken, and says which', async () => {
    await rooms.sheds.snapshots.create({ shed: 'web', name: 'mem', memory: true })
    const { upper } = rooms.layout.snapshot('mem')
    await rm(upper)
    const broken = { status: 'broken', status_reason: expect.stringContaining(upper) }
    expect(await rooms.sheds.snapshots.get('mem')).toMatchObject(broken)
    for (const coldBoot of [false, true])
      await expect(make('copy', coldBoot)).rejects.toMatchObject({ code: 'RECORD_INVALID' })
    await rooms.sheds.snapshots.remove('mem', { force: true })
  })
})

function damage(what: string, says: string, to: Damage['to']): Damage {
  return { what, says, to, code: 'MEMORY_DAMAGED' }
}

function mismatch(what: string, says: string, to: Damage['to']): Damage {
  return { what, says, to, code: 'STATE_MISMATCH' }
}
