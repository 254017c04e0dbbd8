import type { ShedsContext } from '../context.ts'
import { loadShed } from '../records/load-shed.ts'
import { type ShedRecord, shedNotRunning } from '../records/shed-record.ts'
import type { LiveShed } from '../vm/live-shed.ts'

/** A shed that stays hot until this is disposed of. */
export interface ShedUse extends Disposable {
  readonly record: ShedRecord
  readonly live: LiveShed
}

/**
 * Uses a shed: its VM is there, and nobody but who is told to makes it less than hot meanwhile.
 *
 * @throws Problem SHED_NOT_FOUND, SHED_BROKEN, SHED_NOT_RUNNING
 */
export async function useShed(context: ShedsContext, name: string): Promise<ShedUse> {
  const use = context.uses.begin(name)
  try {
    const record = await loadShed(context, name)
    const live = context.live.get(name)
    if (live === undefined) throw shedNotRunning(name)
    return { record, live, [Symbol.dispose]: () => use[Symbol.dispose]() }
  } catch (error) {
    use[Symbol.dispose]()
    throw error
  }
}
