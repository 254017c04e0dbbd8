/**
 * A program that copies a shed which runs, over a fake QEMU, and is cut off: `cut-copies.testkit.ts snapshot|create|fork|compress daemon|host <cut> <directory>`.
 *
 * - `snapshot`: it keeps the disks of `web`, and then keeps it with its memory.
 * - `create`: it makes `copy` from the snapshot `mem` of it.
 * - `fork`: it forks `copy`, whose RAM is in no file of its own.
 * - `compress`: it has the memory of the snapshot `mem` compressed, and inflated again; of that it prints which files are there.
 *
 * - `daemon`: it is killed (SIGKILL) just before its nth step, <cut>.
 * - `host`: before each step the disk, which is the file <cut>, is kept as it is, without what the kernel has not written yet; and once more when all is done, as `<verb>-done`.
 *
 * A step is a sync, a rename or a removal of what belongs to a shed, a snapshot or a volume, or a command to a VMM's monitor that changes something. Before it begins it looks whether
 * what the last one was killed in the middle of is whole or not there, prints what is (`found copy,web mem`: sheds and snapshots), and removes what is new.
 */
import assert from 'node:assert/strict'
import { existsSync, writeSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { diskKeeper } from '../support/keep-disk.ts'
import { watchSteps } from '../support/watch-steps.ts'

const [verb = '', mode = '', cut = '', directory = ''] = process.argv.slice(2)

/** NaN while nobody counts. */
let steps = Number.NaN
const keepDisk = diskKeeper(cut, verb)

watchSteps((name) => {
  if (Number.isNaN(steps)) return
  if (!/\/(sheds|staging|snapshots|volumes)\/|^qmp (stop|cont|migrate|migrate-incoming)$/.test(name)) return
  const isNow = steps++ === Number(cut)
  if (mode === 'host') keepDisk()
  else if (isNow) process.kill(process.pid, 'SIGKILL')
})

const { dataLayout } = await import('../../src/base/index.ts')
const { isLocked, sweepStaging } = await import('../../src/host/index.ts')
const { compressSnapshotNow, inflateSnapshotNow } = await import('../support/compress-now.ts')
const { openRoomsOn } = await import('../support/open-rooms.ts')

const layout = dataLayout(`${directory}/data`)
// As a daemon does when it begins.
await sweepStaging(layout)
const rooms = await openRoomsOn(directory)
await look()
await removeNew()
if (verb === 'compress') await inflateSnapshotNow(rooms, 'mem')
steps = 0
await copy()
steps = Number.NaN
if (mode === 'host') diskKeeper(cut, `${verb}-done`)()
await look()
await removeNew()
await rooms[Symbol.asyncDispose]()

async function copy(): Promise<void> {
  const { sheds } = rooms
  if (verb === 'snapshot') {
    await sheds.snapshots.create({ shed: 'web', name: 'disks' })
    await sheds.snapshots.create({ shed: 'web', name: 'mem', memory: true })
  } else if (verb === 'fork') await sheds.fork('copy', { name: 'fork' })
  else if (verb === 'create') await goOn()
  else {
    await compressSnapshotNow(rooms, 'mem')
    await inflateSnapshotNow(rooms, 'mem')
  }
}

async function goOn(): Promise<void> {
  await rooms.create('copy', { image: undefined, from_snapshot: 'mem', memory_bytes: 64 * 2 ** 20, start: true })
}

function ramOf(name: string): string[] {
  const { memSnap, memSnapZst } = layout.snapshot(name)
  return [memSnap, memSnapZst].filter((path) => existsSync(path)).map((path) => basename(path))
}

/** Every shed that is there runs, and is alone with its RAM and its disk; a snapshot is whole; nothing else is there. */
async function look(): Promise<void> {
  const snapshots = await rooms.sheds.snapshots.list()
  const kept = verb === 'compress' ? ramOf('mem') : snapshots.map(({ name }) => name)
  const there = (await rooms.sheds.list()).map(({ name }) => name)
  writeSync(1, `found ${`${there.join()} ${kept.join()}`.trim()}\n`)
  if (verb === 'compress') await goOn()
  const sheds = await rooms.sheds.list()
  for (const { name, status, status_reason: why } of sheds) {
    assert.equal(status, 'running', `${name}: ${why}`)
    const paths = layout.shed(name)
    assert.deepEqual([await isLocked(paths.vmmLock), await isLocked(paths.heirLock)], [true, false], name)
    assert.ok(existsSync(paths.machine))
    assert.doesNotMatch(await readFile(paths.vmmLog, 'utf8'), /WRONG RESUME/)
  }
  for (const { name, status } of snapshots) {
    assert.equal(status, 'whole', name)
    assert.equal(ramOf(name).length > 0, name === 'mem')
  }
  assert.deepEqual(await readdir(layout.staging).catch(() => []), [])
  const volumes = (await rooms.sheds.volumes.list()).map(({ name }) => name)
  assert.deepEqual(volumes, sheds.map(({ name }) => (name === 'web' ? 'data' : `${name}-data`)).sort())
}

async function removeNew(): Promise<void> {
  for (const { name } of await rooms.sheds.list()) {
    if (name === 'web' || (name === 'copy' && verb === 'fork')) continue
    await rooms.sheds.remove(name, { force: true })
    await rooms.sheds.volumes.remove(`${name}-data`, { force: true })
  }
  if (verb !== 'snapshot') return
  for (const { name } of await rooms.sheds.snapshots.list()) await rooms.sheds.snapshots.remove(name, { force: true })
}
