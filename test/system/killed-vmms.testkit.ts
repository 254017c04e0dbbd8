/**
 * A program that copies a shed which runs, over a fake QEMU, while VMMs are killed: `killed-vmms.testkit.ts snapshot|create|fork <lock> <directory>`.
 *
 * - `snapshot`: it keeps the disks of `web`, and then keeps it with its memory.
 * - `create`: it makes `copy` from the snapshot `mem` of it.
 * - `fork`: it forks `copy`, whose RAM is in no file of its own, so that another VMM takes it over for that.
 *
 * <lock> is the file, below `sheds/`, whose holders are killed (SIGKILL): before the first step at which there are any, then in another try before the second, and so on. A step is
 * one of cut-copies.testkit.ts. After each try it looks whether what is there is whole, and prints how it ended (`ended MACHINE_FAILED why | hint`) and what it found
 * (`found copy,fork(crashed) mem`: sheds, and snapshots).
 */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync, writeSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { watchSteps } from '../support/watch-steps.ts'

const [verb = '', lock = '', directory = ''] = process.argv.slice(2)

/** The number of the next step at which somebody has the lock, and of that before which he is killed; NaN while nobody counts. */
let [now, end] = [Number.NaN, Number.NaN]

watchSteps((name) => {
  if (Number.isNaN(now)) return
  if (!/\/(sheds|staging|snapshots|volumes)\/|^qmp (stop|cont|migrate|migrate-incoming)$/.test(name)) return
  const path = `${layout.sheds}/${lock}`
  if (isHeld(path) && now++ === end) killHolders(path)
})

const { dataLayout, isProblem } = await import('../../src/base/index.ts')
const { isLocked, processStartTime, sweepStaging } = await import('../../src/host/index.ts')
const { ramDirectoryPath } = await import('../../src/daemon/run-directory.ts')
const { openRoomsOn } = await import('../support/open-rooms.ts')

const layout = dataLayout(`${directory}/data`)
await sweepStaging(layout)
const rooms = await openRoomsOn(directory)
const { sheds } = rooms
for (let at = 0; await killAt(at); at++);
await rooms[Symbol.asyncDispose]()

/** @returns whether there was such a step */
async function killAt(at: number): Promise<boolean> {
  ;[now, end] = [0, at]
  await copy().then(
    () => writeSync(1, 'ended done\n'),
    (error: unknown) => {
      assert.ok(isProblem(error), String(error))
      writeSync(1, `ended ${error.code} ${error.message} | ${error.hint}\n`)
    },
  )
  const steps = now
  now = Number.NaN
  await look()
  await putBack()
  return at < steps
}

async function copy(): Promise<void> {
  if (verb === 'snapshot') {
    await sheds.snapshots.create({ shed: 'web', name: 'disks' })
    await sheds.snapshots.create({ shed: 'web', name: 'with', memory: true })
  } else if (verb === 'fork') await sheds.fork('copy', { name: 'fork' })
  else await makeCopy()
}

async function makeCopy(): Promise<void> {
  await rooms.create('copy', { image: undefined, from_snapshot: 'mem', memory_bytes: 64 * 2 ** 20, start: true })
}

/** Every shed that is there runs, or has crashed and says so; a snapshot is whole; nothing else is there, and no VM went on with RAM over a disk that was another. */
async function look(): Promise<void> {
  // That one has died is noticed after a moment.
  while ((await Promise.all((await sheds.list()).map(isAtRest))).includes(false)) await sleep(10)
  const [all, snapshots] = [await sheds.list(), await sheds.snapshots.list()]
  const shown = all.map(({ name, status }) => (status === 'running' ? name : `${name}(${status})`))
  writeSync(1, `found ${[shown.join(), snapshots.map(({ name }) => name).join()].join(' ').trim()}\n`)
  for (const { name, status, status_reason: why } of all) {
    assert.ok(status === 'running' || (status === 'crashed' && why !== undefined), `${name}: ${status}, ${why}`)
    assert.equal(await isLocked(layout.shed(name).heirLock), false, name)
    assert.doesNotMatch(await readFile(layout.shed(name).vmmLog, 'utf8'), /WRONG RESUME/)
  }
  for (const { name, status } of snapshots) {
    assert.equal(status, 'whole', name)
    assert.equal(existsSync(layout.snapshot(name).memSnap), name !== 'disks')
  }
  assert.deepEqual(await readdir(layout.staging).catch(() => []), [])
  const running = all.filter(({ status }) => status === 'running').map(({ name }) => `${name}.ram`)
  const rams = await readdir(ramDirectoryPath(layout)).catch(() => [])
  assert.deepEqual(
    rams.filter((name) => !running.includes(name)),
    [],
  )
  const volumes = (await sheds.volumes.list()).map(({ name }) => name)
  assert.deepEqual(volumes, all.map(({ name }) => (name === 'web' ? 'data' : `${name}-data`)).sort())
}

/** Whether what its record says is so. */
async function isAtRest({ name, status }: { readonly name: string; readonly status: string }): Promise<boolean> {
  const { vmmLock, machine } = layout.shed(name)
  const isThere = status === 'running'
  return (await isLocked(vmmLock)) === isThere && existsSync(machine) === isThere
}

/** As it was before a copy. */
async function putBack(): Promise<void> {
  for (const { name, status } of await sheds.list()) {
    if (name === 'web') {
      if (status === 'crashed') await sheds.start('web')
    } else if (verb !== 'fork' || name !== 'copy' || status === 'crashed') await removeCopy(name)
  }
  for (const { name } of await sheds.snapshots.list())
    if (name !== 'mem') await sheds.snapshots.remove(name, { force: true })
  // Its RAM is to have begun with a file.
  if (verb === 'fork' && (await sheds.list()).every(({ name }) => name !== 'copy')) await makeCopy()
}

async function removeCopy(name: string): Promise<void> {
  await sheds.remove(name, { force: true })
  await sheds.volumes.remove(`${name}-data`, { force: true })
}

function isHeld(path: string): boolean {
  return existsSync(path) && readFileSync('/proc/locks', 'latin1').includes(`:${statSync(path).ino} `)
}

/** All processes but this one that have a lock file open: also one that was started a moment ago, which nothing tells of yet. */
function killHolders(path: string): void {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)) {
    if (!hasOpen(pid, path)) continue
    process.kill(Number(pid), 'SIGKILL')
    // It is a child of this process, which is too busy now to reap it.
    while (processStartTime(Number(pid)) !== undefined);
  }
}

function hasOpen(pid: string, path: string): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`) === path)
  } catch {
    // It has ended, or it is somebody else's.
    return false
  }
}
