import { existsSync } from 'node:fs'
import { mkdir, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { dataLayout } from '../../src/base/index.ts'
import { backupSnapshot } from '../../src/daemon/routes/snapshot-backups.ts'
import { filesystemOf } from '../../src/host/index.ts'
import { createWeb } from '../support/at-rest.ts'
import { busyboxImageTools } from '../support/busybox-image.ts'
import { compressSnapshotNow } from '../support/compress-now.ts'
import { until } from '../support/cowshed.ts'
import { type FakeQemu, fakeQemu } from '../support/fake-qemu.ts'
import { toolsFor } from '../support/filesystems.ts'
import { fillToTheBlock } from '../support/fill-to-the-block.ts'
import { mountFresh } from '../support/mount-filesystem.ts'
import { needs } from '../support/needs.ts'
import { type OpenedRooms, openRoomsOn } from '../support/open-rooms.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'

const MiB = 2 ** 20
const tools = ['mke2fs', ...busyboxImageTools]
const text = Buffer.from('what a guest has in its memory. '.repeat(MiB / 32))

/** Over a fake QEMU, which says so when RAM goes on over a disk that is another. */
describe.runIf(needs({ tools }))('the memory of a snapshot that nobody uses, compressed', () => {
  let fake: FakeQemu
  let directory: TemporaryDirectory
  let rooms: OpenedRooms
  let plain: Buffer

  beforeAll(async () => {
    fake = await fakeQemu()
    directory = await temporaryDirectory()
    rooms = await openRoomsOn(directory.path)
    await takeMem(rooms)
    plain = await readFile(paths().memSnap)
  })
  afterEach(async () => {
    for (const { name } of await rooms.sheds.list()) {
      expect(await readFile(rooms.layout.shed(name).vmmLog, 'utf8'), name).not.toContain('WRONG RESUME')
      if (name !== 'web') await rooms.sheds.remove(name, { force: true })
    }
    expect(await readdir(rooms.layout.staging)).toEqual([])
  })
  afterAll(async () => {
    await rooms.sheds.remove('web', { force: true })
    await rooms[Symbol.asyncDispose]()
    await directory[Symbol.asyncDispose]()
    await fake[Symbol.asyncDispose]()
  })

  const paths = () => rooms.layout.snapshot('mem')
  const isCompressed = () => [paths().memSnap, paths().memSnapZst].map((path) => existsSync(path))
  const inFull = [true, false]
  const compressed = [false, true]

  test('takes the place of what was there, and is told exactly', async () => {
    const { blocks: before } = await stat(paths().memSnap)
    const sizes = await compressSnapshotNow(rooms, 'mem')
    expect(isCompressed()).toEqual(compressed)
    const [ram, state, record] = await Promise.all(
      [paths().memSnapZst, paths().vmSnap, paths().memoryRecord].map((path) => stat(path)),
    )
    const taken = (ram?.blocks ?? 0) * 512
    expect(sizes).toEqual({ before: before * 512, after: taken })
    expect([(ram?.mode ?? 0) & 0o777, taken < text.length / 10]).toEqual([0o600, true])
    const all = taken + ((state?.blocks ?? 0) + (record?.blocks ?? 0)) * 512
    expect((await rooms.sheds.snapshots.get('mem')).memory).toEqual({
      bytes: 64 * MiB,
      physical_bytes: all,
      compressed: true,
    })
    const [row] = (await rooms.usage.df()).snapshots
    const memory = row?.other_files.filter(({ kind }) => kind === 'memory') ?? []
    expect(memory.map(({ path }) => basename(path))).toEqual(['mem.snap.zst', 'vm.snap'])
    expect(await compressSnapshotNow(rooms, 'mem')).toBeUndefined()
  })

  test('is inflated once for all that go on from it at the same time, who share its file', async () => {
    await compressSnapshotNow(rooms, 'mem')
    await Promise.all(['a', 'b', 'c'].map((name) => goOn(rooms, name)))
    expect(isCompressed()).toEqual(inFull)
    expect((await rooms.sheds.snapshots.get('mem')).memory).not.toHaveProperty('compressed')
    expect((await readFile(paths().memSnap)).equals(plain)).toBe(true)
    // Nobody has another one open.
    expect((await rooms.usage.df()).deleted).toEqual([])
  })

  test('is exported and backed up as it was, and stays compressed', async () => {
    const whole = await exported(rooms)
    const to = join(directory.path, 'backups')
    const call = { params: { snapshot: 'mem' }, body: { to } } as Parameters<typeof backupSnapshot>[1]
    await backupSnapshot(rooms, call)
    await compressSnapshotNow(rooms, 'mem')
    expect((await exported(rooms)).equals(whole)).toBe(true)
    expect((await backupSnapshot(rooms, call)).added_bytes).toBe(0)
    // One that is given up before anything was asked of it.
    const iterator = (await rooms.sheds.snapshots.exportTo('mem', { withImage: false }))[Symbol.asyncIterator]()
    await iterator.return?.()
    expect(isCompressed()).toEqual(compressed)
  })

  test('that is damaged is gone on from by nobody, is not read, and its disk can be booted', async () => {
    await compressSnapshotNow(rooms, 'mem')
    const good = await readFile(paths().memSnapZst)
    for (const bad of [good.subarray(0, good.length - 10), flipped(good), Buffer.alloc(good.length)]) {
      await writeFile(paths().memSnapZst, bad)
      const damaged = { code: 'MEMORY_DAMAGED', hint: expect.stringContaining('--cold-boot') }
      await expect(goOn(rooms, 'a')).rejects.toMatchObject(damaged)
      await expect(exported(rooms)).rejects.toMatchObject(damaged)
      await using held = await rooms.sheds.snapshots.files('mem')
      await expect(held.files.find(({ name }) => name === 'mem.snap')?.path()).rejects.toMatchObject(damaged)
      expect(isCompressed()).toEqual(compressed)
    }
    await goOn(rooms, 'b', { cold_boot: true })
    await writeFile(paths().memSnapZst, good)
    await goOn(rooms, 'a')
    expect((await readFile(paths().memSnap)).equals(plain)).toBe(true)
  })

  test('goes with its snapshot', async () => {
    await compressSnapshotNow(rooms, 'mem')
    await rooms.sheds.snapshots.remove('mem', { force: false })
    expect(existsSync(paths().dir)).toBe(false)
  })
})

describe.runIf(needs({ root: true, tools: [...tools, ...toolsFor('ext4')] }))('on a disk that is full', () => {
  test('a snapshot that is compressed stays so until there is space to inflate it', async () => {
    await using _fake = await fakeQemu()
    await using disk = await mountFresh('ext4', 64 * MiB)
    await fillAndGoOn(disk.directory)
  })
})

/** The databases of rooms that are out of sight are let go of. */
async function fillAndGoOn(directory: string): Promise<void> {
  await using rooms = await openRoomsOn(directory)
  await takeMem(rooms)
  await compressSnapshotNow(rooms, 'mem')
  const { memSnap, memSnapZst } = rooms.layout.snapshot('mem')
  const filler = join(directory, 'filler')
  for (const kibibytes of [0, 8, 512]) {
    await fillToTheBlock(filler, kibibytes * 1024)
    const full = { code: 'NO_SPACE', hint: expect.stringContaining('cowshed system prune') }
    await expect(goOn(rooms, 'copy')).rejects.toMatchObject(full)
    await expect(exported(rooms)).rejects.toMatchObject(full)
    await rm(filler)
    expect([existsSync(memSnap), existsSync(memSnapZst)]).toEqual([false, true])
    expect(await readdir(rooms.layout.staging)).toEqual([])
  }
  await goOn(rooms, 'copy')
  for (const name of ['copy', 'web']) await rooms.sheds.remove(name, { force: true })
}

describe.runIf(needs({ root: true, tools: [...tools, ...toolsFor('xfs')] }))('where files share extents', () => {
  test('what a snapshot shares with a shed that sleeps is left alone: to compress it would take more', async () => {
    await using _fake = await fakeQemu()
    await using disk = await mountFresh('xfs', 512 * MiB)
    await shareAndCompress(disk.directory)
  })
})

async function shareAndCompress(directory: string): Promise<void> {
  await using rooms = await openRoomsOn(directory)
  await createWeb(rooms)
  await writeText(rooms)
  await rooms.sheds.stop('web', { timeout_ms: 1000, keep_memory: true })
  await rooms.sheds.snapshots.create({ shed: 'web', name: 'mem', memory: true })
  expect(await compressSnapshotNow(rooms, 'mem')).toBeUndefined()
  expect(existsSync(rooms.layout.snapshot('mem').memSnap)).toBe(true)
  await rooms.sheds.remove('web', { force: true })
  // It frees what is deleted in its own time.
  await until(async () => (await compressSnapshotNow(rooms, 'mem')) !== undefined, 'it has its memory for itself')
}

/** Where nobody compresses but cowshed. */
const isPlain = ['ext4', 'xfs'].includes((await filesystemOf(tmpdir())).type)

describe.runIf(isPlain && needs({ tools }))('a daemon', () => {
  test('compresses what nobody has gone on from for as long as config.toml says, and no VM has mapped', async () => {
    await using _fake = await fakeQemu()
    await using directory = await temporaryDirectory()
    const { config } = dataLayout(`${directory.path}/data`)
    await mkdir(dirname(config), { recursive: true })
    await writeFile(config, '[sheds]\ncompress_after = "1s"\n')
    await using rooms = await openRoomsOn(directory.path)
    await takeMem(rooms)
    await goOn(rooms, 'copy')
    await rooms.sheds.snapshots.create({ shed: 'web', name: 'other', memory: true })
    const isCompressed = (name: string) => {
      const { memSnap, memSnapZst } = rooms.layout.snapshot(name)
      return existsSync(memSnapZst) && !existsSync(memSnap)
    }
    await until(async () => isCompressed('other'), 'what nobody uses is compressed')
    expect(isCompressed('mem')).toBe(false)
    await rooms.sheds.remove('copy', { force: true })
    await until(async () => isCompressed('mem'), 'what nobody uses any more is compressed')
    const told = (name: string) => {
      const events = rooms.events.read({ limit: 1000 }).filter(({ subject }) => subject === name)
      return events.some(({ type }) => type === 'snapshot.memory_compressed')
    }
    await until(async () => told('other') && told('mem'), 'both are told of')
    await goOn(rooms, 'again')
    for (const { name } of await rooms.sheds.list()) await rooms.sheds.remove(name, { force: true })
  })
})

/** Makes `web`, which runs, and the snapshot `mem` of it, with something in its memory. */
async function takeMem(rooms: OpenedRooms): Promise<void> {
  await createWeb(rooms)
  await writeText(rooms)
  await rooms.sheds.snapshots.create({ shed: 'web', name: 'mem', memory: true })
}

async function writeText({ layout }: OpenedRooms): Promise<void> {
  const { memory } = JSON.parse(await readFile(layout.shed('web').machine, 'utf8')) as { memory: { path: string } }
  await using file = await open(memory.path, 'r+')
  await file.write(text, 0, text.length, 5 * MiB)
}

async function goOn(rooms: OpenedRooms, name: string, more: { cold_boot?: boolean } = {}): Promise<void> {
  await rooms.create(name, { image: undefined, from_snapshot: 'mem', memory_bytes: 64 * MiB, start: true, ...more })
}

async function exported({ sheds }: OpenedRooms): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of await sheds.snapshots.exportTo('mem', { withImage: false })) pieces.push(piece)
  return Buffer.concat(pieces)
}

function flipped(bytes: Buffer): Buffer {
  const other = Buffer.from(bytes)
  const at = other.length >> 1
  other[at] = (other[at] ?? 0) ^ 1
  return other
}
