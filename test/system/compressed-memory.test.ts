import { existsSync } from 'node:fs'
import { mkdir, open, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { dataLayout } from '../../src/base/index.ts'
import { filesystemOf } from '../../src/host/index.ts'
import { compressMemory } from '../../src/sheds/memory/compress-memory.ts'
import { memoryOfShed } from '../../src/sheds/memory/kept-memory.ts'
import { Transitions } from '../../src/sheds/transitions.ts'
import { bringTo, createWeb, expectAtRest } from '../support/at-rest.ts'
import { busyboxImageTools } from '../support/busybox-image.ts'
import { compressNow } from '../support/compress-now.ts'
import { until } from '../support/cowshed.ts'
import { type FakeQemu, fakeQemu } from '../support/fake-qemu.ts'
import { needs } from '../support/needs.ts'
import { noise } from '../support/noise.ts'
import { type OpenedRooms, openRoomsOn } from '../support/open-rooms.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'

const MiB = 2 ** 20
/** Where nobody compresses but cowshed. */
const isPlain = ['ext4', 'xfs'].includes((await filesystemOf(tmpdir())).type)

/** Over a fake QEMU, which says so when RAM goes on over a disk that is another. */
describe.runIf(needs({ tools: ['mke2fs', ...busyboxImageTools] }))(
  'the memory of a shed that sleeps, compressed',
  () => {
    let fake: FakeQemu
    let directory: TemporaryDirectory
    let rooms: OpenedRooms

    beforeAll(async () => {
      fake = await fakeQemu()
      directory = await temporaryDirectory()
      rooms = await openRoomsOn(directory.path)
      await createWeb(rooms)
    })
    beforeEach(async () => await bringTo(rooms, 'running'))
    afterAll(async () => {
      for (const { name } of await rooms.sheds.list()) await rooms.sheds.remove(name, { force: true })
      await rooms[Symbol.asyncDispose]()
      await directory[Symbol.asyncDispose]()
      await fake[Symbol.asyncDispose]()
    })

    const sleep = async () => await rooms.sheds.stop('web', { timeout_ms: 1000, keep_memory: true })
    const paths = () => rooms.layout.shed('web')

    test('takes the place of what was there, is told exactly, and goes on as it was', async () => {
      const text = Buffer.from('what a guest has in its memory. '.repeat(MiB / 32))
      await writeRam(rooms, { bytes: text, at: 5 * MiB })
      await sleep()
      const { blocks: before } = await stat(paths().memSnap)
      const sizes = await compressNow(rooms, 'web')
      expect((await readdir(paths().memory)).sort()).toEqual(['mem.snap.zst', 'memory.json', 'vm.snap'])
      const [ram, state] = [await stat(paths().memSnapZst), await stat(paths().vmSnap)]
      expect(sizes).toEqual({ before: before * 512, after: ram.blocks * 512 })
      expect([ram.mode & 0o777, ram.size < text.length / 50]).toEqual([0o600, true])
      expect((await rooms.sheds.get('web')).memory_on_disk_bytes).toBe((ram.blocks + state.blocks) * 512)
      const [row] = (await rooms.usage.df()).sheds
      const memory = row?.other_files.filter(({ kind }) => kind === 'memory') ?? []
      expect(memory.map(({ path, size }) => [basename(path), size.physical_bytes])).toEqual([
        ['mem.snap.zst', ram.blocks * 512],
        ['vm.snap', state.blocks * 512],
      ])
      expect(await compressNow(rooms, 'web')).toBeUndefined()
      expect((await rooms.sheds.wake('web')).status).toBe('running')
      expect((await readRam(rooms, { bytes: text.length, at: 5 * MiB })).equals(text)).toBe(true)
      await expectAtRest(rooms)
    })

    test('is copied as it was into snapshots and forks, which map it', async () => {
      await sleep()
      const plain = await readFile(paths().memSnap)
      await compressNow(rooms, 'web')
      await rooms.sheds.snapshots.create({ shed: 'web', name: 'mem', memory: true })
      expect((await readFile(rooms.layout.snapshot('mem').memSnap)).equals(plain)).toBe(true)
      await rooms.sheds.fork('web', { name: 'fork' })
      expect((await rooms.sheds.get('fork')).status).toBe('running')
      for (const name of ['fork', 'web']) {
        expect(await readFile(rooms.layout.shed(name).vmmLog, 'utf8')).not.toContain('WRONG RESUME')
      }
      expect(existsSync(paths().memSnapZst)).toBe(true)
      await rooms.sheds.wake('web')
      await expectAtRest(rooms)
    })

    test('is not made where somebody wants the shed meanwhile, where it is no smaller, or of what is damaged', async () => {
      await writeRam(rooms, { bytes: noise(2 * MiB), at: 5 * MiB })
      await sleep()
      const before = await readdir(paths().memory)
      const transitions = new Transitions(60_000)
      const compressing = compressMemory(rooms.layout, memoryOfShed({ layout: rooms.layout, transitions }, 'web'))
      await transitions.run('web', async () => await expect(compressing).rejects.toMatchObject({ code: 'CANCELLED' }))
      expect(await compressNow(rooms, 'web')).toBeUndefined()
      await using file = await open(paths().memSnap, 'r+')
      await file.write(noise(8, 'other'), 0, 8, 6 * MiB)
      await expect(compressNow(rooms, 'web')).rejects.toMatchObject({ code: 'MEMORY_DAMAGED' })
      expect(await readdir(paths().memory)).toEqual(before)
      await rooms.sheds.start('web', { coldBoot: true })
      await expectAtRest(rooms)
    })
  },
)

describe.runIf(isPlain && needs({ tools: ['mke2fs', ...busyboxImageTools] }))('a daemon', () => {
  test('compresses the memory of a shed that has slept for as long as config.toml says', async () => {
    await using _fake = await fakeQemu()
    await using directory = await temporaryDirectory()
    const { config } = dataLayout(`${directory.path}/data`)
    await mkdir(dirname(config), { recursive: true })
    await writeFile(config, '[sheds]\ncompress_after = "1s"\n')
    await using rooms = await openRoomsOn(directory.path)
    await createWeb(rooms)
    await rooms.sheds.stop('web', { timeout_ms: 1000, keep_memory: true })
    const { memSnap, memSnapZst } = rooms.layout.shed('web')
    await until(async () => existsSync(memSnapZst) && !existsSync(memSnap), 'its memory is compressed')
    await rooms.sheds.wake('web')
    await expectAtRest(rooms)
    await rooms.sheds.remove('web', { force: true })
  })
})

async function ramOf({ layout }: OpenedRooms): Promise<string> {
  const { memory } = JSON.parse(await readFile(layout.shed('web').machine, 'utf8')) as { memory: { path: string } }
  return memory.path
}

async function writeRam(rooms: OpenedRooms, { bytes, at }: { bytes: Buffer; at: number }): Promise<void> {
  await using file = await open(await ramOf(rooms), 'r+')
  await file.write(bytes, 0, bytes.length, at)
}

async function readRam(rooms: OpenedRooms, { bytes, at }: { bytes: number; at: number }): Promise<Buffer> {
  await using file = await open(await ramOf(rooms))
  return (await file.read(Buffer.alloc(bytes), 0, bytes, at)).buffer
}
