import { z } from 'zod'
import { isProblem, Problem } from '../base/index.ts'
import { isLocked, within } from '../host/index.ts'
import { readRecord } from '../state/index.ts'
import { noteStatus, type ShedsContext } from './context.ts'
import { reconcileForwards } from './forwards/forwards.ts'
import { attachmentOf } from './lazy-lowers.ts'
import { RecordedIdentity } from './memory/memory-record.ts'
import { dropMemory } from './memory/stored-memory.ts'
import { noteVerified } from './records/note-verified.ts'
import type { ShedRecord } from './records/shed-record.ts'
import { couldNotSleep, statusAfter } from './records/status-after.ts'
import { withSizeOfDisk } from './records/with-size-of-disk.ts'
import { deleteShed, dropCreated } from './verbs/remove-shed.ts'
import { stopShed } from './verbs/stop-shed.ts'
import { endHeir, endLeftover, endVm, forgetVm } from './vm/end-vm.ts'
import { LiveShed } from './vm/live-shed.ts'
import { setGuestClock } from './vm/set-guest-clock.ts'
import { watchMachine } from './vm/watch-machine.ts'

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
  memory: z.object({ path: z.string(), mapping: z.enum(['shared', 'private']) }).optional(),
  identity: RecordedIdentity.optional(),
  stateDirectory: z.int().optional(),
})

/** How long a stop that an earlier transition began may go on, in milliseconds. */
const stopMs = 10_000

/**
 * Brings a shed to rest, inside its transition: what an earlier transition began and could not end (its daemon was killed, a disk was full) is
 * rolled back or finished, a VM that runs without being held is adopted, one that has died is written down. Every verb begins with this.
 *
 * @returns the record, which then says `stopped`, `crashed`, `failed` or `cold`, or `running` or `paused` with a VM in `context.live` that does just that; undefined when nothing of the shed is left
 * @throws Problem MACHINE_FAILED when a VM runs that can neither be adopted nor ended: the shed is then left as it is
 */
export async function settleShed(context: ShedsContext, found: ShedRecord): Promise<ShedRecord | undefined> {
  const record = await noteVerified(context, found)
  const { name, status } = record
  switch (status) {
    case 'creating':
      await endVm(context, name)
      await dropCreated(context, record)
      return undefined
    case 'deleting':
      await endVm(context, name)
      await deleteShed(context, name)
      return undefined
    case 'starting':
    case 'waking':
      await endVm(context, name)
      return (await noteStatus(context, record, await statusAfter(context, record))).record
    case 'running':
    case 'paused':
      return await settleRunning(context, record)
    case 'stopping':
      return await settleStopping(context, record)
    case 'sleeping':
      return await settleSleeping(context, record)
    case 'stopped':
    case 'crashed':
    case 'failed':
    case 'cold':
      await endVm(context, name)
      return await withSizeOfDisk(context, record)
  }
}

/** @returns the record as it was when the VM runs, else with what has become of the shed */
async function settleRunning(context: ShedsContext, record: ShedRecord): Promise<ShedRecord> {
  const live = context.live.get(record.name) ?? (await adoptShed(context, record))
  if (live !== undefined && (await isThere(context, live))) {
    await keepPace(context, live, record)
    return record
  }
  await endLeftover(context, record.name)
  const change = await statusAfter(context, record, live?.exit)
  const { record: settled, written } = await noteStatus(context, record, change)
  // What tells how it ended is kept until the record says so.
  if (written) await forgetVm(context, record.name)
  return settled
}

/** How long it may take to hear of a VMM that has died, in milliseconds. */
const noticeMs = 60_000

/** A VMM that died a moment ago has let go of its lock, though nobody may have heard of it yet. */
async function isThere({ layout }: ShedsContext, live: LiveShed): Promise<boolean> {
  if (live.exit !== undefined) return false
  if (await isLocked(layout.shed(live.name).vmmLock)) return true
  return (await within(live.machine.exited, noticeMs)) === undefined
}

/** It ends, whether its guest hears of it or not: a VMM that this daemon holds and that answers nobody is killed when the time of its guest is over. */
async function settleStopping(context: ShedsContext, record: ShedRecord): Promise<ShedRecord> {
  const settled = await settleRunning(context, record).catch((error: unknown) => {
    if (!isProblem(error, 'MACHINE_FAILED') || !context.live.has(record.name)) throw error
    return record
  })
  return settled.status === 'stopping' ? await stopShed(context, settled, stopMs) : settled
}

/** A VM that is there goes on, and what was kept of it is too old with that, unless it was being ended already; one that is dead was ended when all of it was kept, or has crashed. */
async function settleSleeping(context: ShedsContext, record: ShedRecord): Promise<ShedRecord> {
  if (context.live.get(record.name)?.isKept === true) await endVm(context, record.name)
  const settled = await settleRunning(context, record)
  if (settled.status !== 'sleeping') return settled
  return (await noteStatus(context, record, { status: 'running', reason: couldNotSleep })).record
}

/** What the record says of vCPUs is what they do: whoever changed one of the two may have been killed before the other, or could not. */
async function keepPace(context: ShedsContext, live: LiveShed, { name, status }: ShedRecord): Promise<void> {
  const isToPause = status === 'paused'
  if ((await live.looksPaused()) === isToPause) return
  if (isToPause) return await live.pause()
  // Before it writes anything: what was kept of it while it fell asleep belongs to its disks as they are.
  await dropMemory(context, name)
  await live.resume()
  await setGuestClock(context, live)
}

/** Takes hold of a VM that an earlier daemon left running. @returns undefined when it is dead, or nobody can say how to reach it */
export async function adoptShed(context: ShedsContext, record: ShedRecord): Promise<LiveShed | undefined> {
  const paths = context.layout.shed(record.name)
  const recorded = await readRecord(paths.machine, RecordedMachine).catch((error: unknown) => {
    // A torn machine.json: the VM, if there is one, is found by its lock and ended; its disk is what counts.
    if (isProblem(error, 'RECORD_INVALID')) return undefined
    throw error
  })
  await endHeir(context, record.name)
  // Its guest's reads may be waiting for somebody who serves them, and a VMM that is told to be still for those.
  if (record.lazy !== undefined && (await isLocked(paths.vmmLock)))
    context.lazyLowers.follow(record.name, attachmentOf(record.lazy))
  const machine = recorded && (await context.driver.adopt(recorded, paths.vmmLock).catch(notAdopted(record.name)))
  if (machine === undefined) return undefined
  // While there is a VM nothing may go on from what was kept of it: whoever woke it was killed before it could see to that.
  await dropMemory(context, record.name)
  const live = new LiveShed(record.name, machine)
  watchMachine(context, live)
  await reconcileForwards(context, record, machine)
  return live
}

function notAdopted(name: string): (error: unknown) => never {
  return (error) => {
    if (!isProblem(error, 'MACHINE_FAILED')) throw error
    throw new Problem('MACHINE_FAILED', `the VM of ${name} cannot be reached: ${error.message}`, {
      hint: `try again, or stop it, which kills it; what is on its disk stays: cowshed stop ${name}`,
      cause: error,
      ...(error.data === undefined ? {} : { data: error.data }),
    })
  }
}
