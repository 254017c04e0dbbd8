/**
 * A program that has the shed `web` fall asleep, or wakes it, over a fake QEMU, and is cut off: `cut-sleep.testkit.ts sleep|wake daemon|vmm|host <cut> <directory>`.
 *
 * - `daemon`: it is killed (SIGKILL) just before its nth step, <cut>.
 * - `vmm`: its VMM is, before the first step, then again before the second, and so on.
 * - `host`: before each step the disk, which is the file <cut>, is kept as it is, without what the kernel has not written yet.
 *
 * A step is a sync, a rename or a removal of what belongs to a shed, or a command to the VMM's monitor. Before it begins it looks whether what it was cut off at the last time
 * is whole. It prints what it finds (`found running`) and each step (`step sync …`).
 */
import { execFileSync } from 'node:child_process'
import fs, { existsSync, readFileSync, statSync, writeSync } from 'node:fs'
import promises from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { Socket } from 'node:net'

const [verb = '', mode = '', cut = '', directory = ''] = process.argv.slice(2)

/** The number of the next step, and of that which is cut off; NaN while nobody counts. */
let [now, end] = [Number.NaN, Number.NaN]

function step(name: string): void {
  if (Number.isNaN(now)) return
  const shown = /\/(sheds|staging)\/.*|\/dev\/shm\/.*|^qmp .*/.exec(name)
  if (shown === null) return
  writeSync(1, `step ${name.replace(directory, '')}\n`)
  const isNow = now++ === end
  if (mode === 'host') keepDisk()
  else if (isNow && mode === 'daemon') process.kill(process.pid, 'SIGKILL')
  else if (isNow) killVmm()
}

let lastWritten = 0n

/** Unless nothing was written since it was kept the last time: the kernel does that when it is told to sync, and now and then. */
function keepDisk(): void {
  const { mtimeNs } = statSync(cut, { bigint: true })
  if (mtimeNs === lastWritten) return
  lastWritten = mtimeNs
  execFileSync('cp', ['--sparse=always', cut, `${cut}.${verb}-${now}`])
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
  const [, command] = /^\{"execute":"([a-z-]+)"/.exec(String(given[0])) ?? []
  if (command !== undefined) step(`qmp ${command}`)
  return write.apply(this, given)
} as typeof write

const { dataLayout } = await import('../../src/base/index.ts')
const { processStartTime, sweepStaging } = await import('../../src/host/index.ts')
const { bringTo, expectAtRest } = await import('../support/at-rest.ts')
const { openRoomsOn } = await import('../support/open-rooms.ts')

const layout = dataLayout(`${directory}/data`)
// As a daemon does when it begins.
await sweepStaging(layout)
const rooms = await openRoomsOn(directory)
if (mode !== 'vmm') await cutAt(Number(cut))
else for (let at = 0; await cutAt(at); at++);
await look()
await rooms[Symbol.asyncDispose]()

/** @returns whether there was such a step */
async function cutAt(at: number): Promise<boolean> {
  await look()
  await bringTo(rooms, verb === 'sleep' ? 'running' : 'cold')
  ;[now, end] = [0, at]
  const done =
    verb === 'sleep' ? rooms.sheds.stop('web', { timeout_ms: 1000, keep_memory: true }) : rooms.sheds.wake('web')
  await done.catch((error: unknown) => {
    if (mode !== 'vmm') throw error
  })
  const steps = now
  now = Number.NaN
  return at < steps
}

async function look(): Promise<void> {
  writeSync(1, `found ${(await expectAtRest(rooms)).status}\n`)
}

function killVmm(): void {
  const { machine } = layout.shed('web')
  if (!existsSync(machine)) return
  const { pid } = JSON.parse(readFileSync(machine, 'utf8')) as { pid: number }
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
  // It is a child of this process, which is too busy now to reap it.
  while (processStartTime(pid) !== undefined);
}
