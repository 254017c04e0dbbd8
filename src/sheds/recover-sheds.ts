import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { errnoCode, isProblem } from '../base/index.ts'
import { isLocked, killProcess, lockHolders, processStartTime } from '../host/index.ts'
import type { Machine } from '../machines/index.ts'
import { readRecord } from '../state/index.ts'
import { consoleSaysPowerDown } from './console-end.ts'
import { changeStatus, loadAllSheds, type ShedsContext } from './context.ts'
import { LiveShed } from './live-shed.ts'
import { deleteShed } from './remove-shed.ts'
import type { ShedRecord } from './shed-record.ts'
import { stopShed } from './stop-shed.ts'
import { watchMachine } from './watch-machine.ts'

/** Written by recordMachine. */
const RecordedMachine = z.object({
  driver: z.string(),
  id: z.string(),
  pid: z.int().positive(),
  pidStartTime: z.string(),
  agentSocket: z.string(),
  controlSocket: z.string(),
  agentKey: z.string(),
  acceleration: z.enum(['kvm', 'tcg']),
  driverVersion: z.string(),
})

/** How long a stop that an earlier daemon began may go on, in milliseconds. */
const stopMs = 10_000

/**
 * Settles what the last daemon left: VMs that run are adopted, transitions that it was killed in are rolled back or finished, and nothing of
 * a shed that is not there survives. Runs once, before anything is served. A shed whose record cannot be read is left exactly as it is.
 */
export async function recoverSheds(context: ShedsContext): Promise<void> {
  const all = await loadAllSheds(context)
  await Promise.all(
    all.map(async ({ name, record, problem }) => {
      try {
        if (record === undefined) throw problem
        await recoverShed(context, record)
      } catch (error) {
        context.events.append({ type: 'shed.broken', subject: name, message: String(error) })
      }
    }),
  )
  if (all.every(({ record }) => record !== undefined)) await sweepSockets(context, all)
}

async function recoverShed(context: ShedsContext, record: ShedRecord): Promise<void> {
  switch (record.status) {
    case 'creating':
    case 'deleting':
      await endLeftover(context, record.name)
      return await deleteShed(context, record)
    case 'starting':
      await endLeftover(context, record.name)
      await changeStatus(context, record, { status: 'stopped', reason: 'the daemon died while it was starting' })
      return
    case 'running':
      return await adoptShed(context, record)
    case 'stopping':
      await adoptShed(context, record)
      if (context.live.has(record.name)) void finishStop(context, record)
      return
    case 'stopped':
    case 'crashed':
      return await endLeftover(context, record.name)
  }
}

async function adoptShed(context: ShedsContext, record: ShedRecord): Promise<void> {
  const machine = await findMachine(context, record)
  if (machine !== undefined) return watchMachine(context, record.name, new LiveShed(machine))
  await endLeftover(context, record.name)
  const asked = record.status === 'stopping' || (await consoleSaysPowerDown(context.layout.shed(record.name).console))
  await changeStatus(
    context,
    record,
    asked
      ? { status: 'stopped', reason: 'the guest shut down while no daemon was running' }
      : { status: 'crashed', reason: 'its VM died while no daemon was running' },
  )
}

async function findMachine(context: ShedsContext, record: ShedRecord): Promise<Machine | undefined> {
  const paths = context.layout.shed(record.name)
  const machine = await readRecord(paths.machine, RecordedMachine).catch((error: unknown) => {
    // A torn machine.json: the VM, if there is one, is found by its lock and ended; its disk is what counts.
    if (isProblem(error, 'RECORD_INVALID')) return undefined
    throw error
  })
  return machine === undefined ? undefined : await context.driver.adopt(machine, paths.vmmLock)
}

async function finishStop(context: ShedsContext, record: ShedRecord): Promise<void> {
  try {
    await context.transitions.run(record.name, () => stopShed(context, record, stopMs))
  } catch (error) {
    context.events.append({ type: 'shed.unsettled', subject: record.name, message: String(error) })
  }
}

/** Ends a VMM that has no business running: whoever holds the shed's lock. The lock, not a pid in a file, says who that is. */
async function endLeftover(context: ShedsContext, name: string): Promise<void> {
  const paths = context.layout.shed(name)
  const deadline = Date.now() + stopMs
  while ((await isLocked(paths.vmmLock)) && Date.now() < deadline) {
    for (const pid of await lockHolders(paths.vmmLock)) {
      const startTime = processStartTime(pid)
      if (startTime !== undefined) killProcess({ pid, startTime }, 'SIGKILL')
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  await rm(paths.machine, { force: true })
}

/** Sockets are named after the ids of sheds; the run-time directory is this data directory's alone. */
async function sweepSockets(
  context: ShedsContext,
  all: readonly { readonly name: string; readonly record?: ShedRecord }[],
): Promise<void> {
  const alive = all.filter(({ name }) => context.live.has(name)).map(({ record }) => record?.id)
  for (const file of await readdir(context.runDirectory).catch(absentIsEmpty)) {
    const owned = /^([0-9a-f]{12})\./.exec(file)
    if (owned !== null && !alive.includes(owned[1])) await rm(join(context.runDirectory, file), { force: true })
  }
}

function absentIsEmpty(error: unknown): string[] {
  if (errnoCode(error) === 'ENOENT') return []
  throw error
}
