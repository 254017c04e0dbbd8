import { open, readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
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
const filesystems = [
  ['btrfs', 300 * MiB],
  ['xfs', 300 * MiB],
  ['ext4', 300 * MiB],
] as const satisfies readonly (readonly [FilesystemType, number])[]

/** Over a fake QEMU, which keeps count of what a guest has written: what its disks and its RAM have besides is what they are given here. */
describe.runIf(needs({ root: true, tools }))('snapshots with memory, and forks', () => {
  let fake: FakeQemu

  beforeAll(async () => {
    fake = await fakeQemu()
  })
  afterAll(async () => await fake[Symbol.asyncDispose]())

  test.each(filesystems.filter(([type]) => needs({ tools: toolsFor(type) })))(
    'on %s: have what was in RAM, on the disk and on the volume; of disks they share what nobody has written since',
    async (type, bytes) => {
      await using disk = await mountFresh(type, bytes)
      await tryOn(disk.directory, { isShared: type !== 'ext4' })
    },
  )
})

/** Where they are in each file, beyond what else is written there. */
const markAt = 16 * MiB
const markBytes = 8 * MiB

async function tryOn(directory: string, { isShared }: { readonly isShared: boolean }): Promise<void> {
  await using rooms = await openRoomsOn(directory)
  try {
    await copyAndCompare(rooms, { isShared })
  } finally {
    for (const { name } of await rooms.sheds.list()) await rooms.sheds.remove(name, { force: true })
  }
}

async function copyAndCompare(rooms: OpenedRooms, { isShared }: { readonly isShared: boolean }): Promise<void> {
  const { sheds, layout } = rooms
  await sheds.volumes.create({ name: 'data', bytes: 64 * MiB })
  await createWeb(rooms, { volumes: [{ volume: 'data', path: '/data', read_only: false }] })
  const web = { disk: layout.shed('web').upper, volume: layout.volume('data').data, ram: await ramOf(rooms, 'web') }
  for (const [what, path] of Object.entries(web)) await writeMark(path, what)

  const before = await usedBytes(layout.root)
  await sheds.snapshots.create({ shed: 'web', name: 'mem', memory: true })
  const snapshot = layout.snapshot('mem')
  await expectMark(snapshot.upper, 'disk')
  await expectMark(layout.snapshotVolume('mem', 'data'), 'volume')
  await expectMark(snapshot.memSnap, 'ram')
  const ofSnapshot = (await usedBytes(layout.root)) - before
  expectAdded(ofSnapshot, { ram: true, copies: isShared ? 0 : 1 })

  const { sheds: forks } = await sheds.fork('web', { name: 'fork', count: 2 })
  for (const { name } of forks) {
    await expectMark(layout.shed(name).upper, 'disk')
    await expectMark(layout.volume(`${name}-data`).data, 'volume')
    expect(await readFile(layout.shed(name).vmmLog, 'utf8')).not.toContain('WRONG RESUME')
  }
  // Both have the one file that their RAM begins with.
  expectAdded((await usedBytes(layout.root)) - before - ofSnapshot, { ram: true, copies: isShared ? 0 : 2 })

  // What one writes is in no other one.
  await writeMark(layout.shed('fork-1').upper, 'later')
  for (const path of [web.disk, snapshot.upper, layout.shed('fork-2').upper]) await expectMark(path, 'disk')
}

interface Added {
  readonly ram: boolean
  /** Of the disk and the volume. */
  readonly copies: number
}

/** Besides marks there are records, what is formatted, and what a filesystem has for itself. */
function expectAdded(bytes: number, { ram, copies }: Added): void {
  const marks = (ram ? markBytes : 0) + copies * 2 * markBytes
  expect(bytes).toBeGreaterThan(marks - MiB)
  expect(bytes).toBeLessThan(marks + 7 * MiB)
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
