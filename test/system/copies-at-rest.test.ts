import { open, readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RootfsKind } from '../../src/contract/index.ts'
import { createWeb } from '../support/at-rest.ts'
import { busyboxImageTools } from '../support/busybox-image.ts'
import { type FakeQemu, fakeQemu } from '../support/fake-qemu.ts'
import { usedBytes } from '../support/filesystem-usage.ts'
import { toolsFor } from '../support/filesystems.ts'
import { type FilesystemType, mountFresh } from '../support/mount-filesystem.ts'
import { needs } from '../support/needs.ts'
import { noise } from '../support/noise.ts'
import { type OpenedRooms, openRoomsOn } from '../support/open-rooms.ts'

const MiB = 2 ** 20
const tools = ['mke2fs', ...busyboxImageTools]
/** Where a shed is, and what its own disk is. */
const sheds = [
  ['btrfs', 'erofs'],
  ['xfs', 'erofs'],
  ['ext4', 'erofs'],
  ['btrfs', 'ext4'],
  ['ext4', 'ext4'],
] as const satisfies readonly (readonly [FilesystemType, RootfsKind])[]

/** Over a fake QEMU, which keeps count of what a guest has written: what its disks and its RAM have besides is what they are given here. */
describe.runIf(needs({ root: true, tools }))('snapshots with memory, and forks', () => {
  let fake: FakeQemu

  beforeAll(async () => {
    fake = await fakeQemu()
  })
  afterAll(async () => await fake[Symbol.asyncDispose]())

  test.each(sheds.filter(([type]) => needs({ tools: toolsFor(type) })))(
    'on %s, with --rootfs %s: have what was in RAM, on the disk and on the volume; of disks they share what nobody has written since',
    async (type, rootfs) => {
      await using disk = await mountFresh(type, 500 * MiB)
      await tryOn(disk.directory, { rootfs, isShared: type !== 'ext4' })
    },
  )
})

interface Tried {
  readonly rootfs: RootfsKind
  readonly isShared: boolean
}

/** Where they are in each file, beyond what else is written there. */
const markAt = 48 * MiB
const markBytes = 8 * MiB

async function tryOn(directory: string, tried: Tried): Promise<void> {
  await using rooms = await openRoomsOn(directory)
  try {
    await copyAndCompare(rooms, tried)
  } finally {
    for (const { name } of await rooms.sheds.list()) await rooms.sheds.remove(name, { force: true })
  }
}

async function copyAndCompare(rooms: OpenedRooms, { rootfs, isShared }: Tried): Promise<void> {
  const { sheds, layout } = rooms
  await sheds.volumes.create({ name: 'data', bytes: 64 * MiB })
  const volumes = [{ volume: 'data', path: '/data', read_only: false }]
  await createWeb(rooms, { rootfs, upper_bytes: 128 * MiB, volumes })
  const diskOf = (paths: { readonly upper: string; readonly rootfs: string }) =>
    rootfs === 'ext4' ? paths.rootfs : paths.upper
  const web = { disk: diskOf(layout.shed('web')), volume: layout.volume('data').data, ram: await ramOf(rooms, 'web') }
  for (const [what, path] of Object.entries(web)) await writeMark(path, what)

  const before = await usedBytes(layout.root)
  await sheds.snapshots.create({ shed: 'web', name: 'mem', memory: true })
  const snapshot = layout.snapshot('mem')
  await expectMark(diskOf(snapshot), 'disk')
  await expectMark(layout.snapshotVolume('mem', 'data'), 'volume')
  await expectMark(snapshot.memSnap, 'ram')
  const ofSnapshot = (await usedBytes(layout.root)) - before
  expectAdded(ofSnapshot, isShared ? 0 : 1)

  const { sheds: forks } = await sheds.fork('web', { name: 'fork', count: 2 })
  for (const { name } of forks) {
    await expectMark(diskOf(layout.shed(name)), 'disk')
    await expectMark(layout.volume(`${name}-data`).data, 'volume')
    expect(await readFile(layout.shed(name).vmmLog, 'utf8')).not.toContain('WRONG RESUME')
  }
  // Both have the one file that their RAM begins with.
  expectAdded((await usedBytes(layout.root)) - before - ofSnapshot, isShared ? 0 : 2)

  await sheds.snapshots.create({ shed: 'fork-1', name: 'of-fork' })
  expect(await sheds.snapshots.get('of-fork')).toMatchObject({ shed: { name: 'fork-1' }, forked_from: { name: 'web' } })

  // What one writes is in no other one.
  await writeMark(diskOf(layout.shed('fork-1')), 'later')
  for (const path of [web.disk, diskOf(snapshot), diskOf(layout.shed('fork-2'))]) await expectMark(path, 'disk')

  await sheds.stop('web', { timeout_ms: 1000, keep_memory: true })
  await sheds.wake('web')
  await expectMark(await ramOf(rooms, 'web'), 'ram')
  expect(await readFile(layout.shed('web').vmmLog, 'utf8')).not.toContain('WRONG RESUME')
}

/** RAM once, and copies of disk and volume: their marks. Besides there are records, what is formatted, the files of an image, and what a filesystem has for itself. */
function expectAdded(bytes: number, copies: number): void {
  const marks = (1 + 2 * copies) * markBytes
  expect(bytes).toBeGreaterThan(marks - MiB)
  expect(bytes).toBeLessThan(marks + (7 + 4 * copies) * MiB)
}

async function ramOf({ layout }: OpenedRooms, name: string): Promise<string> {
  const { memory } = JSON.parse(await readFile(layout.shed(name).machine, 'utf8')) as { memory: { path: string } }
  return memory.path
}

async function writeMark(path: string, what: string): Promise<void> {
  await using file = await open(path, 'r+')
  await file.write(noise(markBytes, what), 0, markBytes, markAt)
  await file.sync()
}

async function expectMark(path: string, what: string): Promise<void> {
  await using file = await open(path)
  const { buffer } = await file.read(Buffer.alloc(markBytes), 0, markBytes, markAt)
  expect(buffer.equals(noise(markBytes, what)), `${what} in ${path}`).toBe(true)
}
