import { isProblem, newId, Problem } from '../../base/index.ts'
import { kernelOf, type Machine } from '../../machines/index.ts'
import type { ShedsContext } from '../context.ts'
import type { ShedRecord } from '../records/shed-record.ts'
import type { LiveShed } from '../vm/live-shed.ts'
import { machineSpec } from '../vm/machine-spec.ts'
import type { MemoryRecord } from './memory-record.ts'

/** A paused VM whose RAM is a file, all of it. */
export interface Savable extends Pick<MemoryRecord, 'identity'> {
  readonly ramPath: string
  /** @see Machine.saveState */
  readonly saveState: (path: string) => Promise<void>
}

/**
 * Does something with the RAM and the state of a paused shed. Where its RAM is its own file that is that; where its RAM only began with a file, which others may
 * have too, a second VMM takes over all of it for as long as this takes (docs/decisions/0080-a-state-through-a-socket.md). That one never runs.
 *
 * @throws Problem MACHINE_FAILED, NO_SPACE; what the work throws. The shed can be resumed in each case
 */
export async function withSavable<T>(
  context: ShedsContext,
  record: ShedRecord,
  live: LiveShed,
  work: (savable: Savable) => Promise<T>,
): Promise<T> {
  const { memory } = live.machine.record
  if (memory?.mapping !== 'private')
    return await work({ ...savableOf(live.name, live.machine), saveState: (path) => live.saveState(path) })
  try {
    const heir = await startHeir(context, record, live.machine)
    try {
      return await work({ ...savableOf(live.name, heir), saveState: (path) => heir.saveState(path) })
    } finally {
      await heir.kill()
    }
  } catch (error) {
    throw notTakenOver(error, live)
  } finally {
    await context.ram.remove(record.name)
  }
}

/** What befell the second VMM is no matter of the shed's own. */
function notTakenOver(error: unknown, { name }: LiveShed): unknown {
  if (!isProblem(error, 'MACHINE_FAILED') && !isProblem(error, 'QMP_FAILED')) return error
  // That its monitor was lost says nothing to anybody.
  const why = error.code === 'MACHINE_FAILED' ? `: ${error.message}` : ''
  return new Problem('MACHINE_FAILED', `the VMM that was to take over the memory of ${name} failed${why}`, {
    hint: `${name} goes on as it was: try again`,
    cause: error,
  })
}

/** Whether what is in the memory of a shed can be kept at all. @throws Problem MACHINE_FAILED */
export function refuseUnsavable({ name, machine }: LiveShed): void {
  savableOf(name, machine)
}

function savableOf(name: string, machine: Machine): Omit<Savable, 'saveState'> {
  const { memory, identity } = machine.record
  if (memory !== undefined && identity !== undefined) {
    return { ramPath: memory.path, identity: { ...identity, drives: [...identity.drives] } }
  }
  throw new Problem('MACHINE_FAILED', `the RAM of ${name} is in no file of its own, so it cannot be kept`, {
    hint: `it can after its next start: cowshed stop ${name}; cowshed start ${name}`,
  })
}

/** Its lock, in the directory of the shed, is how the next daemon finds it if ours is killed. */
async function startHeir(context: ShedsContext, record: ShedRecord, machine: Machine): Promise<Machine> {
  const { agentKey, identity } = machine.record
  const kernel = await kernelOf(context.layout, identity?.kernel ?? '')
  const spec = await machineSpec(context, record, { work: {}, agentKey, kernel })
  const memory = { path: await context.ram.place(record), mapping: 'shared' } as const
  const { heirLock: lockPath } = context.layout.shed(record.name)
  return await context.driver.start(
    { ...spec, id: newId(), lockPath, memory, restore: { takeOver: machine } },
    async () => {},
  )
}
