import type { MachineExit } from '../../machines/index.ts'
import { noteStatus, type ShedsContext } from '../context.ts'
import { dropMemory } from '../memory/stored-memory.ts'
import type { ShedRecord } from '../records/shed-record.ts'
import { endedByGuest } from '../records/status-after.ts'
import { endVm } from '../vm/end-vm.ts'
import type { LiveShed } from '../vm/live-shed.ts'
import { trimAfterStop } from './trim-shed.ts'
import { wakeShed } from './wake-shed.ts'

/**
 * Stops a settled shed, inside its transition. @see Sheds.stop
 *
 * @throws Problem CANCELLED when the daemon is going before the guest has shut down: the next daemon finishes it
 */
export async function stopShed(context: ShedsContext, record: ShedRecord, timeoutMs: number): Promise<ShedRecord> {
  if (record.status === 'cold') return await stopCold(context, record, timeoutMs)
  const live = context.live.get(record.name)
  if (live === undefined) return record
  live.ending = true
  try {
    const { record: stopping } = await noteStatus(context, record, { status: 'stopping' })
    const end = timeoutMs > 0 ? await askToPowerOff(context, live, timeoutMs) : 'at once'
    await endVm(context, record.name)
    const { record: stopped } = await noteStatus(context, stopping, {
      status: 'stopped',
      reason: reasonOf(end, timeoutMs),
    })
    // One whose guest did not shut down has a journal to replay first.
    if (typeof end !== 'string' && endedByGuest(end)) await trimAfterStop(context, stopped)
    return stopped
  } catch (error) {
    live.ending = false
    throw error
  }
}

/** What a guest that sleeps has not written back is in its memory: only awake it can shut down. Without time for it, that is thrown away. */
async function stopCold(context: ShedsContext, record: ShedRecord, timeoutMs: number): Promise<ShedRecord> {
  if (timeoutMs > 0) return await stopShed(context, await wakeShed(context, record, {}), timeoutMs)
  const change = { status: 'stopped', reason: 'what was kept of its memory was thrown away' } as const
  const { record: stopped, written } = await noteStatus(context, record, change)
  await dropMemory(context, record.name)
  // There is space again.
  return written ? stopped : (await noteStatus(context, record, change)).record
}

/** How long a guest may take that is to go and has something on volumes to write back, in milliseconds. */
export const volumeStopMs = 10_000

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
  const asked = askAgent(live, allowedMs)
    .then(() => exited)
    // No reason not to stop: the VM is then killed at once.
    .catch(() => 'unasked' as const)
  return await Promise.race([exited, asked, patience.late])
}

async function askAgent(live: LiveShed, allowedMs: number): Promise<void> {
  // Its guest hears nothing while it stands still.
  if (live.isPaused === true) await live.resume()
  const agent = await live.agent()
  await agent.poweroff({ graceMs: guestGrace(allowedMs) })
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
