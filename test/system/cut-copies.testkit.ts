/**
 * A program that keeps the shed `web` with its memory, makes `copy` from that, and forks that one, over a fake QEMU; and is killed (SIGKILL) just before its nth step:
 * `cut-copies.testkit.ts <n> <directory>`.
 *
 * A step is a sync, a rename or a removal of what belongs to a shed, a snapshot or a volume, or a command to a VMM's monitor that changes something. Before it begins it looks whether
 * what the last one was killed in the middle of is whole or not there, prints which sheds that are (`found copy,web`), and removes all but `web`.
 */
import assert from 'node:assert/strict'
import fs, { existsSync, writeSync } from 'node:fs'
import promises, { readdir, readFile } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { Socket } from 'node:net'

const [limit = '', directory = ''] = process.argv.slice(2)

/** NaN while nobody counts. */
let steps = Number.NaN

function step(name: string): void {
  if (!/\/(sheds|staging|snapshots|volumes)\/|^qmp /.test(name)) return
  if (steps++ === Number(limit)) process.kill(process.pid, 'SIGKILL')
}

const opened = new Map<number, string>()
const { openSync, fsync } = fs
fs.openSync = (path, ...rest) => {
  const fd = openSync(path, ...rest)
  opened.set(fd, String(path))
  return fd
}
fs.fsync = Object.assign((fd: number, done: fs.NoParamCallback) => {
  step(`sync ${opened.get(fd)}`)
  fsync(fd, done)
}, fsync)
const { rm, rename } = promises
promises.rm = (path, options) => {
  step(`rm ${String(path)}`)
  return rm(path, options)
}
promises.rename = (from, to) => {
  step(`rename ${String(from)} to ${String(to)}`)
  return rename(from, to)
}
syncBuiltinESMExports()
const { write } = Socket.prototype
Socket.prototype.write = function (this: Socket, ...given: Parameters<typeof write>) {
  const [, command] = /^\{"execute":"(stop|cont|migrate|migrate-incoming)"/.exec(String(given[0])) ?? []
  if (command !== undefined) step(`qmp ${command}`)
  return write.apply(this, given)
} as typeof write

const { dataLayout } = await import('../../src/base/index.ts')
const { isLocked, sweepStaging } = await import('../../src/host/index.ts')
const { openRoomsOn } = await import('../support/open-rooms.ts')

const layout = dataLayout(`${directory}/data`)
// As a daemon does when it begins.
await sweepStaging(layout)
const rooms = await openRoomsOn(directory)
await look()
await removeCopies()
steps = 0
await rooms.sheds.snapshots.create({ shed: 'web', name: 'mem', memory: true })
await rooms.create('copy', { image: undefined, from_snapshot: 'mem', memory_bytes: 64 * 2 ** 20, start: true })
await rooms.sheds.fork('copy', { name: 'fork' })
steps = Number.NaN
await look()
await removeCopies()
await rooms[Symbol.asyncDispose]()

/** Every shed that is there runs, and is alone with its RAM and its disk; a snapshot is whole; nothing else is there. */
async function look(): Promise<void> {
  const sheds = await rooms.sheds.list()
  writeSync(1, `found ${sheds.map(({ name }) => name).join()}\n`)
  for (const { name, status, status_reason: why } of sheds) {
    assert.equal(status, 'running', `${name}: ${why}`)
    const paths = layout.shed(name)
    assert.deepEqual([await isLocked(paths.vmmLock), await isLocked(paths.heirLock)], [true, false], name)
    assert.ok(existsSync(paths.machine))
    assert.doesNotMatch(await readFile(paths.vmmLog, 'utf8'), /WRONG RESUME/)
  }
  for (const { name, status } of await rooms.sheds.snapshots.list()) {
    assert.equal(status, 'whole', name)
    assert.ok(existsSync(layout.snapshot(name).memSnap))
  }
  assert.deepEqual(await readdir(layout.staging).catch(() => []), [])
  const volumes = (await rooms.sheds.volumes.list()).map(({ name }) => name)
  assert.deepEqual(volumes, sheds.map(({ name }) => (name === 'web' ? 'data' : `${name}-data`)).sort())
}

async function removeCopies(): Promise<void> {
  for (const { name } of await rooms.sheds.list()) {
    if (name === 'web') continue
    await rooms.sheds.remove(name, { force: true })
    await rooms.sheds.volumes.remove(`${name}-data`, { force: true })
  }
  for (const { name } of await rooms.sheds.snapshots.list()) await rooms.sheds.snapshots.remove(name, { force: true })
}
