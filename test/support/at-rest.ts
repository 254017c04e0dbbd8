import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { Shed } from '../../src/contract/index.ts'
import { ramDirectoryPath } from '../../src/daemon/run-directory.ts'
import { isLocked } from '../../src/host/index.ts'
import { installFakeKernel } from './fake-qemu.ts'
import type { OpenedRooms } from './open-rooms.ts'
import { processesWithFilesBelow } from './processes-with-files.ts'

/** So long for whatever has died to be noticed, in milliseconds: it takes a moment. */
const noticeMs = 60_000

/** Makes the shed `web` over a fake QEMU; it runs. */
export async function createWeb(rooms: OpenedRooms, more: Parameters<OpenedRooms['create']>[1] = {}): Promise<void> {
  await installFakeKernel(rooms.layout)
  await rooms.loadMini()
  await rooms.create('web', { memory_bytes: 64 * 2 ** 20, start: true, ...more })
}

/**
 * Looks whether `web` is whole, whatever was cut off: it runs, sleeps, is stopped, or has crashed for a reason; nothing is half made, no VM and no RAM is there but
 * those of one that runs; and no VM ever went on with RAM over a disk that was another. @returns what it is
 */
export async function expectAtRest(rooms: OpenedRooms): Promise<Shed> {
  for (const deadline = Date.now() + noticeMs; ; await sleep(10)) {
    const shed = await rooms.sheds.get('web')
    const found = await leftOf(rooms, shed)
    if (!isDeepStrictEqual(found, whole[shed.status]) && Date.now() < deadline) continue
    assert.deepEqual(found, whole[shed.status], JSON.stringify(shed))
    return shed
  }
}

const nothing = { vm: false, machine: false, memory: false, ram: false, staging: [] as string[], why: '', wrong: false }

const whole: Partial<Record<Shed['status'], Left>> = {
  running: { ...nothing, vm: true, machine: true, ram: true },
  cold: { ...nothing, memory: true },
  stopped: nothing,
  crashed: { ...nothing, why: 'given' },
}

type Left = typeof nothing

async function leftOf({ layout }: OpenedRooms, { status, status_reason: why }: Shed): Promise<Left> {
  const paths = layout.shed('web')
  return {
    vm: await isLocked(paths.vmmLock),
    machine: existsSync(paths.machine),
    ram: [paths.ram, `${ramDirectoryPath(layout)}/web.ram`].some(existsSync),
    staging: await filesIn(layout.staging),
    // What is left of one beside a disk that crashed is of an earlier generation.
    memory: status !== 'crashed' && existsSync(paths.memory),
    why: status === 'crashed' && why !== undefined ? 'given' : '',
    wrong: (await readFile(paths.vmmLog, 'utf8').catch(() => '')).includes('WRONG RESUME'),
  }
}

/** Looks whether nothing at all is left of `web`. @returns `none` */
export async function expectNone({ layout, runDirectory }: OpenedRooms): Promise<'none'> {
  const left = [layout.sheds, layout.staging, runDirectory, ramDirectoryPath(layout)].map(filesIn)
  assert.deepEqual((await Promise.all(left)).flat(), [])
  const users = await processesWithFilesBelow(layout.root)
  assert.deepEqual(
    users.filter((pid) => pid !== process.pid),
    [],
  )
  return 'none'
}

async function filesIn(directory: string): Promise<string[]> {
  return await readdir(directory).catch(() => [])
}

/** Whatever it is, or if it is not there, it can be had to run, and then to sleep or to stop. */
export async function bringTo(rooms: OpenedRooms, status: 'running' | 'cold' | 'stopped'): Promise<void> {
  const { sheds } = rooms
  const [web] = await sheds.list()
  if (web?.status === status) return
  if (web === undefined) await createWeb(rooms)
  else await sheds.start('web')
  if (status !== 'running') await sheds.stop('web', { timeout_ms: 1000, keep_memory: status === 'cold' })
}
