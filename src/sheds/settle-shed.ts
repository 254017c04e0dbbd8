import { z } from 'zod'
import { isProblem } from '../base/index.ts'
import type { Machine } from '../machines/index.ts'
import { readRecord } from '../state/index.ts'
import { noteStatus, type ShedsContext } from './context.ts'
import { endLeftover, endVm, forgetVm } from './end-vm.ts'
import { reconcileForwards } from './forwards.ts'
import { LiveShed } from './live-shed.ts'
import { deleteShed } from './remove-shed.ts'
import type { ShedRecord } from './shed-record.ts'
import { statusAfter } from './status-after.ts'
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

/** How long a stop that an earlier transition began may go on, in milliseconds. */
const stopMs = 10_000

/**
 * Brings a shed to rest, inside its transition: what an earlier transition began and could not end (its daemon was killed, a disk was full) is
 * rolled back or finished, a VM that runs without being held is adopted, one that has died is written down. Every verb begins with this.
 *
 * @returns the record, which then says `stopped`, `crashed`, or `running` with a VM in `context.live`; undefined when nothing of the shed is left
 * @throws Problem MACHINE_FAILED when a VM runs that can neither be adopted nor ended: the shed is then left as it is
 */
export async function settleShed(context: ShedsContext, record: ShedRecord): Promise<ShedRecord | undefined> {
  const { name, status } = record
  switch (status) {
    case 'creating':
    case 'deleting':
      await endVm(context, name)
      await deleteShed(context, name)
      return undefined
    case 'starting': {
      await endVm(context, name)
      return (await noteStatus(context, record, await statusAfter(context, record))).record
    }
    case 'running':
      return await settleRunning(context, record)
    case 'stopping': {
      const settled = await settleRunning(context, record)
      return settled.status === 'stopping' ? await stopShed(context, settled, stopMs) : settled
    }
    case 'stopped':
    case 'crashed':
      await endVm(context, name)
      return record
  }
}

/** @returns the record as it was when the VM runs, else with what has become of the shed */
async function settleRunning(context: ShedsContext, record: ShedRecord): Promise<ShedRecord> {
  const live = context.live.get(record.name) ?? (await adoptShed(context, record))
  if (live !== undefined && live.exit === undefined) return record
  await endLeftover(context, record.name)
  const change = await statusAfter(context, record, live?.exit)
  const { record: settled, written } = await noteStatus(context, record, change)
  // What tells how it ended is kept until the record says so.
  if (written) await forgetVm(context, record.name)
  return settled
}

/** Takes hold of a VM that an earlier daemon left running. @returns undefined when it is dead, or nobody can say how to reach it */
export async function adoptShed(context: ShedsContext, record: ShedRecord): Promise<LiveShed | undefined> {
  const paths = context.layout.shed(record.name)
  const recorded = await readRecord(paths.machine, RecordedMachine).catch((error: unknown) => {
    // A torn machine.json: the VM, if there is one, is found by its lock and ended; its disk is what counts.
    if (isProblem(error, 'RECORD_INVALID')) return undefined
    throw error
  })
  const machine: Machine | undefined = recorded && (await context.driver.adopt(recorded, paths.vmmLock))
  if (machine === undefined) return undefined
  const live = new LiveShed(record.name, machine)
  watchMachine(context, live)
  await reconcileForwards(context, record, machine)
  return live
}
