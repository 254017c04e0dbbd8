import type { MachineExit } from '../machines/index.ts'
import { noteStatus, type ShedsContext } from './context.ts'
import { endVm } from './end-vm.ts'
import type { LiveShed } from './live-shed.ts'
import type { ShedRecord } from './shed-record.ts'
import { endedByGuest } from './status-after.ts'

/**
 * Stops a settled shed, inside its transition. @see Sheds.stop
 *
 * @throws Problem CANCELLED when the daemon is going before the guest has shut down: the next daemon finishes it
 */
export async function stopShed(context: ShedsContext, record: ShedRecord, timeoutMs: number): Promise<ShedRecord> {
  const live = context.live.get(record.name)
  if (live === undefined) return record
  live.ending = true
  try {
    const { record: stopping } = await noteStatus(context, record, { status: 'stopping' })
    const end = timeoutMs > 0 ? await askToPowerOff(context, live, timeoutMs) : 'at once'
    await endVm(context, record.name)
    return (await noteStatus(context, stopping, { status: 'stopped', reason: reasonOf(end, timeoutMs) })).record
  } catch (error) {
    live.ending = false
    throw error
  }
}

/** How a VM was ended: by itself, or it had to be killed for its guest would not shut down in time, could not be asked, or was not to be. */
type End = MachineExit | 'late' | 'unasked' | 'at once'

function reasonOf(end: End, timeoutMs: number): string | undefined {
  switch (end) {
    case 'late':
      return `the guest did not shut down in ${timeoutMs} ms, so its VM was killed`
    case 'unasked':
      return "the guest's agent could not be asked to shut down, so its VM was killed"
    case 'at once':
      return 'its VM was killed without asking the guest'
    default:
      return endedByGuest(end) ? undefined : `its VM ended before the guest had shut down: ${end.reason}`
  }
}

async function askToPowerOff({ transitions }: ShedsContext, live: LiveShed, timeoutMs: number): Promise<End> {
  const allowedMs = Math.min(timeoutMs, maxTimerMs)
  using patience = patienceOf(allowedMs, transitions.closing)
  const { exited } = live.machine
  // An agent that cannot be asked is no reason not to stop: the VM is then killed at once.
  const asked = live
    .agent()
    .then((agent) => agent.poweroff({ graceMs: guestGrace(allowedMs) }))
    .then(() => exited)
    .catch(() => 'unasked' as const)
  return await Promise.race([exited, asked, patience.late])
}

/** Resolves when the time is over; rejects when the daemon is going. */
function patienceOf(milliseconds: number, closing: AbortSignal): Disposable & { readonly late: Promise<'late'> } {
  const done = new AbortController()
  const late = new Promise<'late'>((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds, 'late')
    done.signal.addEventListener('abort', () => clearTimeout(timer), { once: true })
    closing.addEventListener('abort', () => reject(closing.reason), { once: true, signal: done.signal })
    if (closing.aborted) reject(closing.reason)
  })
  return { late, [Symbol.dispose]: () => done.abort() }
}

/**
 * How long the guest's programs may take. What is left of the time is the agent's, to kill them and to write back what they wrote: a program
 * that does not listen must not cost the others their data.
 */
function guestGrace(timeoutMs: number): number {
  return Math.round(timeoutMs - Math.min(timeoutMs / 2, writeBackMs))
}

const writeBackMs = 3000
/** A longer timer fires at once. */
const maxTimerMs = 2 ** 31 - 1
