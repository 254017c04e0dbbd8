import { createHash } from 'node:crypto'
import { copyFile, open, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { expectAtRest } from '../support/at-rest.ts'
import { busyboxImageTools } from '../support/busybox-image.ts'
import { compressNow } from '../support/compress-now.ts'
import { changeIdentity, changeJson, writeZeros } from '../support/damage-memory.ts'
import { type FakeWeb, fakeWeb } from '../support/fake-web.ts'
import { needs } from '../support/needs.ts'
import type { OpenedRooms } from '../support/open-rooms.ts'

type Paths = ReturnType<OpenedRooms['layout']['shed']>

interface Damage {
  readonly what: string
  readonly code: 'MEMORY_DAMAGED' | 'STATE_MISMATCH'
  /** Of the message. */
  readonly says: string
  readonly to: (paths: Paths, rooms: OpenedRooms) => Promise<void>
}

/** What can befall the memory of a shed that sleeps, or what that belongs to. */
const damages: Damage[] = [
  damage('a mem.snap that is cut short', 'had 67108864', ({ memSnap }) => truncate(memSnap, 1 << 20)),
  damage('a mem.snap that is longer', 'had 67108864', ({ memSnap }) => truncate(memSnap, 65 << 20)),
  damage('a mem.snap of zeros', 'not what was written', ({ memSnap }) => writeZeros(memSnap)),
  damage('a mem.snap with one bit flipped', 'not what was written', ({ memSnap }) => flip(memSnap)),
  damage('a mem.snap that is gone', 'there is no', ({ memSnap }) => rm(memSnap)),
  damageCompressed('cut short', 'cut short', (zst) => truncate(zst, 15)),
  damageCompressed('empty', 'not what was written', (zst) => truncate(zst, 0)),
  damageCompressed('of zeros', 'no place of a frame', writeZeros),
  damageCompressed('with one bit flipped', 'not what was written', (zst) => flip(zst, 10)),
  damageCompressed('gone', 'there is no', (zst) => rm(zst)),
  damage('a vm.snap that is cut short', 'bytes, and had', ({ vmSnap }) => truncate(vmSnap, 3)),
  damage('a vm.snap of zeros', 'not what was written', ({ vmSnap }) => writeZeros(vmSnap)),
  damage('a vm.snap with one bit flipped', 'not what was written', ({ vmSnap }) => flip(vmSnap)),
  damage('a vm.snap that is gone', 'there is no', ({ vmSnap }) => rm(vmSnap)),
  damage('a memory.json that is cut short', 'not JSON', ({ memoryRecord }) => truncate(memoryRecord, 40)),
  damage('a memory.json of zeros', 'not JSON', ({ memoryRecord }) => writeZeros(memoryRecord)),
  damage('a memory.json that is empty', 'empty', ({ memoryRecord }) => truncate(memoryRecord, 0)),
  damage('a memory.json that is gone', 'there is no', ({ memoryRecord }) => rm(memoryRecord)),
  damage('a memory that is gone', 'there is no', ({ memory }) => rm(memory, { recursive: true })),
  damage('the memory of another shed', 'another shed, "other"', (paths) =>
    changeJson(paths.memoryRecord, { shed: { name: '"other"', id: '0123456789ab' } }),
  ),
  damage('a disk that was written to since', 'the disk upper has been written to', ({ upper }) => flip(upper)),
  damage('a disk that is a copy of it', 'the disk upper has been written to', async ({ upper }) => {
    await copyFile(upper, `${upper}.copy`)
    await rename(`${upper}.copy`, upper)
  }),
  mismatch('another version of QEMU', 'driver_version', (paths) => changeIdentity(paths, { driver_version: '8.0.0' })),
  mismatch('another accelerator', 'acceleration', (paths) => changeIdentity(paths, { acceleration: 'kvm' })),
  mismatch('a kernel that is gone', 'the kernel that it was booted with', (paths) =>
    changeIdentity(paths, { kernel: 'f'.repeat(32) }),
  ),
  mismatch('a shed that was given more CPUs', 'cpus', ({ record }) => changeJson(record, { cpus: 2 })),
  mismatch('a shed that was given other memory', 'memory_bytes', ({ record }) =>
    changeJson(record, { memory_bytes: 128 * 2 ** 20 }),
  ),
  mismatch('a lower that was made again in another form', 'the lower of mini:1', (paths) =>
    changeJson(paths.memoryRecord, { lowers: [{ id: 'lower', bytes: 4096, head_sha256: '0'.repeat(64) }] }),
  ),
]

describe.runIf(needs({ tools: ['mke2fs', ...busyboxImageTools] }))('what a shed is not woken from', () => {
  let web: FakeWeb
  let rooms: OpenedRooms

  beforeAll(async () => {
    web = await fakeWeb()
    rooms = web.rooms
  })
  afterAll(async () => await web[Symbol.asyncDispose]())

  const sleep = async () => await rooms.sheds.stop('web', { timeout_ms: 1000, keep_memory: true })

  test.each(damages)('$what: it sleeps as it did, and is booted from its disk', async ({ code, says, to }) => {
    const paths = rooms.layout.shed('web')
    await sleep()
    const before = await readFile(paths.record, 'utf8')
    await to(paths, rooms)
    const hint = expect.stringContaining('cowshed start --cold-boot web')
    for (const verb of ['wake', 'start'] as const) {
      await expect(rooms.sheds[verb]('web')).rejects.toMatchObject({
        code,
        hint,
        message: expect.stringContaining(says),
      })
      expect((await rooms.sheds.get('web')).status).toBe('cold')
    }
    // Nobody else's record is to be what it was damaged to.
    if (before !== (await readFile(paths.record, 'utf8')))
      await changeJson(paths.record, { cpus: 1, memory_bytes: 64 * 2 ** 20 })
    expect((await rooms.sheds.start('web', { coldBoot: true })).status).toBe('running')
    await expectAtRest(rooms)
  })

  test('a state that QEMU does not take: its message, and both ways out', async () => {
    const { vmSnap, memoryRecord } = rooms.layout.shed('web')
    await sleep()
    const bytes = Buffer.from('of something else')
    await writeFile(vmSnap, bytes)
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    await changeJson(memoryRecord, { state: { bytes: bytes.length, sha256 } })
    await expect(rooms.sheds.wake('web')).rejects.toMatchObject({
      code: 'MACHINE_FAILED',
      message: expect.stringContaining('error while loading state'),
      hint: expect.stringMatching(/try again; or .*--cold-boot web/),
    })
    await rooms.sheds.start('web', { coldBoot: true })
    await expectAtRest(rooms)
  })

  test('an earlier generation of its disk: it is booted from that at once, and says so', async () => {
    const { record } = rooms.layout.shed('web')
    await sleep()
    const { disk_generation: generation } = JSON.parse(await readFile(record, 'utf8')) as { disk_generation: number }
    await changeJson(record, { disk_generation: generation + 1 })
    expect(await rooms.sheds.wake('web')).toMatchObject({
      status: 'running',
      status_reason: expect.stringContaining('older than that'),
    })
    await expectAtRest(rooms)
  })
})

function damage(what: string, says: string, to: Damage['to']): Damage {
  return { what, says, to, code: 'MEMORY_DAMAGED' }
}

function damageCompressed(how: string, says: string, to: (memSnapZst: string) => Promise<void>): Damage {
  return damage(`a compressed mem.snap: ${how}`, says, async ({ memSnapZst }, rooms) => {
    await compressNow(rooms, 'web')
    await to(memSnapZst)
  })
}

function mismatch(what: string, says: string, to: Damage['to']): Damage {
  return { what, says, to, code: 'STATE_MISMATCH' }
}

async function flip(path: string, at = 0): Promise<void> {
  await using file = await open(path, 'r+')
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, at)
  await file.write(Buffer.from([(buffer[0] ?? 0) ^ 4]), 0, 1, at)
}
