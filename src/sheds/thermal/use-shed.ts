import type { ShedsContext } from '../context.ts'
import { loadSettled } from '../load-settled.ts'
import { loadShed } from '../records/load-shed.ts'
import { refuseFailed } from '../records/refuse-failed.ts'
import { type ShedRecord, shedNotRunning } from '../records/shed-record.ts'
import { wakeShed } from '../verbs/wake-shed.ts'
import type { LiveShed } from '../vm/live-shed.ts'

/** A shed that stays hot until this is disposed of, unless a person says otherwise. */
export interface ShedUse extends Disposable {
  readonly record: ShedRecord
  readonly live: LiveShed
}

/**
 * Uses a shed: its VM is there and runs. One that stands still or sleeps, whoever had it do so, is woken first; however many come for it at once, it is woken
 * once (docs/decisions/0115-when-a-shed-cools.md). One that is stopped is not started.
 *
 * @throws Problem SHED_NOT_FOUND, SHED_BROKEN, SHED_NOT_RUNNING, SHED_FAILED; SHED_BUSY and whatever Sheds.wake throws for one that has to be woken
 */
export async function useShed(context: ShedsContext, name: string): Promise<ShedUse> {
  // First: from now on the daemon makes it no colder.
  const use = context.uses.begin(name)
  try {
    const record = await loadShed(context, name)
    if (isToBeWoken(context, record)) await wakeOnce(context, name)
    refuseFailed(context, record)
    const live = context.live.get(name)
    if (live === undefined) throw shedNotRunning(name)
    return { record, live, [Symbol.dispose]: () => use[Symbol.dispose]() }
  } catch (error) {
    use[Symbol.dispose]()
    // Nothing is remembered of names that are no sheds.
    if (!context.live.has(name)) context.uses.forget(name)
    throw error
  }
}

/** Also one that is on its way: who waits for the end of that finds out where it led. */
function isToBeWoken({ uses, live }: ShedsContext, { name, status }: ShedRecord): boolean {
  if (uses.isCooling(name) || live.get(name)?.isPaused === true) return true
  return status === 'paused' || status === 'sleeping' || status === 'cold' || status === 'waking'
}

/** Who comes while it is woken waits for the same wake, and fails for the same reason. */
async function wakeOnce(context: ShedsContext, name: string): Promise<void> {
  const { wakes, transitions } = context
  const known = wakes.get(name)
  if (known !== undefined) return await known
  const wake = transitions
    .run(name, async () => await wakeIdle(context, name))
    .finally(() => {
      wakes.delete(name)
    })
  wakes.set(name, wake)
  await wake
}

async function wakeIdle(context: ShedsContext, name: string): Promise<void> {
  const record = await loadSettled(context, name)
  if (record.status !== 'paused' && record.status !== 'cold') return
  await wakeShed(context, record, { signal: context.transitions.closing })
}
