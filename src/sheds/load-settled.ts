import { isProblem } from '../base/index.ts'
import { noteStatus, type ShedsContext } from './context.ts'
import { loadShed } from './records/load-shed.ts'
import { type ShedRecord, shedNotFound } from './records/shed-record.ts'
import { settleShed } from './settle-shed.ts'
import { endVm } from './vm/end-vm.ts'

/**
 * The record of a shed at rest, inside its transition.
 *
 * @throws Problem SHED_NOT_FOUND, also when what was left of it is removed now; SHED_BROKEN; and whatever keeps it from being settled
 */
export async function loadSettled(context: ShedsContext, name: string): Promise<ShedRecord> {
  const record = await settleShed(context, await loadShed(context, name))
  if (record === undefined) throw shedNotFound(name)
  return record
}

/**
 * The same for who is to end its VM: a VMM that answers nobody is no reason not to. One that this daemon holds is left to its caller, its guest may answer
 * still; one that cannot be reached at all is killed.
 *
 * @throws Problem as loadSettled, but for a VM that hangs
 */
export async function loadToStop(context: ShedsContext, name: string): Promise<ShedRecord> {
  try {
    return await loadSettled(context, name)
  } catch (error) {
    if (!isProblem(error, 'MACHINE_FAILED')) throw error
    if (context.live.has(name)) return await loadShed(context, name)
  }
  await endVm(context, name)
  const settled = await loadSettled(context, name)
  if (settled.status !== 'stopped') return settled
  const change = { status: 'stopped', reason: 'its VMM answered nobody, so its VM was killed' } as const
  return (await noteStatus(context, settled, change)).record
}
