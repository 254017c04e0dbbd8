import { rm } from 'node:fs/promises'
import { changeStatus, type ShedsContext } from './context.ts'
import type { LiveShed } from './live-shed.ts'
import type { ShedRecord } from './shed-record.ts'

/** Stops a running shed, inside its transition. @see Sheds.stop */
export async function stopShed(context: ShedsContext, record: ShedRecord, timeoutMs: number): Promise<ShedRecord> {
  const live = context.live.get(record.name)
  if (live === undefined) {
    return record.status === 'running' || record.status === 'stopping'
      ? await changeStatus(context, record, { status: 'crashed', reason: 'its VM is gone' })
      : record
  }
  const stopping = await changeStatus(context, record, { status: 'stopping' })
  const end = await endMachine(context, { name: record.name, live, timeoutMs })
  return await changeStatus(context, stopping, { status: 'stopped', reason: reasons[end](timeoutMs) })
}

/** How a VM was ended: its guest shut down, would not in time, could not be asked, or was not to be asked. */
type End = 'by itself' | 'late' | 'unasked' | 'at once'

const reasons: Readonly<Record<End, (timeoutMs: number) => string | undefined>> = {
  'by itself': () => undefined,
  late: (timeoutMs) => `the guest did not shut down in ${timeoutMs} ms, so its VM was killed`,
  unasked: () => "the guest's agent could not be asked to shut down, so its VM was killed",
  'at once': () => 'its VM was killed without asking the guest',
}

/** Ends a VM: by asking the guest for as long as the timeout allows, then by force. */
export async function endMachine(
  context: ShedsContext,
  { name, live, timeoutMs }: { name: string; live: LiveShed; timeoutMs: number },
): Promise<End> {
  live.ending = true
  const end = timeoutMs > 0 ? await askToPowerOff(live, timeoutMs) : 'at once'
  await live.machine.kill()
  live.closeAgent()
  context.live.delete(name)
  await rm(context.layout.shed(name).machine, { force: true })
  return end
}

async function askToPowerOff(live: LiveShed, timeoutMs: number): Promise<End> {
  const allowedMs = Math.min(timeoutMs, maxTimerMs)
  const late = new Promise<'late'>((resolve) => {
    setTimeout(resolve, allowedMs, 'late').unref()
  })
  // An agent that cannot be asked is no reason not to stop: the VM is then killed at once.
  const asked = live
    .agent()
    .then((agent) => agent.poweroff({ graceMs: guestGrace(allowedMs) }))
    .catch(() => 'unasked' as const)
  const exited = live.machine.exited.then(() => 'by itself' as const)
  const first = await Promise.race([asked, exited, late])
  return first === 'unasked' ? first : await Promise.race([exited, late])
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
