/**
 * A program that does something with the shed `web` over a fake QEMU, and is cut off: `cut-verbs.testkit.ts create|start|sleep|compress|wake|stop|grow|delete daemon|vmm|host <cut> <directory>`.
 *
 * - `daemon`: it is killed (SIGKILL) just before its nth step, <cut>.
 * - `vmm`: its VMM is, before the first step, then again before the second, and so on.
 * - `host`: before each step the disk, which is the file <cut>, is kept as it is, without what the kernel has not written yet.
 *
 * A step is one of watchSteps that has to do with the shed. Before it begins it looks whether what it was cut off at the last time is whole. It prints what it finds
 * (`found running`; `found none` without the shed) and each step (`step sync …`).
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { diskKeeper } from '../support/keep-disk.ts'
import { watchSteps } from '../support/watch-steps.ts'

const [verb = '', mode = '', cut = '', directory = ''] = process.argv.slice(2)

/** The number of the next step, and of that which is cut off; NaN while nobody counts. */
let [now, end] = [Number.NaN, Number.NaN]
const keepDisk = diskKeeper(cut, verb)

watchSteps((name) => {
  if (Number.isNaN(now)) return
  const shown = /\/(sheds|staging)\/.*|\/dev\/shm\/.*|^qmp .*/.exec(name)
  if (shown === null) return
  writeSync(1, `step ${name.replace(directory, '')}\n`)
  const isNow = now++ === end
  if (mode === 'host') keepDisk()
  else if (isNow && mode === 'daemon') process.kill(process.pid, 'SIGKILL')
  else if (isNow) killVmm()
})

const { dataLayout } = await import('../../src/base/index.ts')
const { processStartTime, sweepStaging } = await import('../../src/host/index.ts')
const { bringTo, expectAtRest, expectNone } = await import('../support/at-rest.ts')
const { compressNow } = await import('../support/compress-now.ts')
const { openRoomsOn } = await import('../support/open-rooms.ts')

const layout = dataLayout(`${directory}/data`)
// As a daemon does when it begins.
await sweepStaging(layout)
const rooms = await openRoomsOn(directory)
const { sheds } = rooms
const verbs: Readonly<Record<string, { from: Parameters<typeof bringTo>[1] | 'none'; act: () => Promise<unknown> }>> = {
  create: { from: 'none', act: () => rooms.create('web', { memory_bytes: 64 * 2 ** 20, start: true }) },
  start: { from: 'stopped', act: () => sheds.start('web') },
  sleep: { from: 'running', act: () => sheds.stop('web', { timeout_ms: 1000, keep_memory: true }) },
  compress: { from: 'cold', act: () => compressNow(rooms, 'web') },
  wake: { from: 'cold', act: () => sheds.wake('web') },
  stop: { from: 'running', act: () => sheds.stop('web', { timeout_ms: 60_000 }) },
  grow: { from: 'stopped', act: async () => sheds.setLimits('web', { upper_bytes: (await diskBytes()) + 2 ** 24 }) },
  delete: { from: 'running', act: () => sheds.remove('web', { force: true }) },
}
if (mode !== 'vmm') await cutAt(Number(cut))
else for (let at = 0; await cutAt(at); at++);
await look()
await rooms[Symbol.asyncDispose]()

/** @returns whether there was such a step */
async function cutAt(at: number): Promise<boolean> {
  await look()
  const { from, act } = verbs[verb] ?? assert.fail(verb)
  if (from === 'none') await rooms.sheds.remove('web', { force: true }).catch(() => undefined)
  else {
    // What sleeps goes on from what was left of it.
    if (verb === 'compress') await bringTo(rooms, 'running')
    await bringTo(rooms, from)
  }
  ;[now, end] = [0, at]
  await act().catch((error: unknown) => {
    if (mode !== 'vmm') throw error
  })
  const steps = now
  now = Number.NaN
  return at < steps
}

async function look(): Promise<void> {
  const [web] = await rooms.sheds.list()
  const isThere = web !== undefined
  if (isThere) assert.equal(web.upper_bytes, await diskBytes())
  writeSync(1, `found ${isThere ? (await expectAtRest(rooms)).status : await expectNone(rooms)}\n`)
}

async function diskBytes(): Promise<number> {
  return (await stat(layout.shed('web').upper)).size
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
