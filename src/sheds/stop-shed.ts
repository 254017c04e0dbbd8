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
  const graceful = await endMachine(context, { name: record.name, live, timeoutMs })
  return await changeStatus(context, stopping, {
    status: 'stopped',
    reason: graceful ? undefined : `the guest did not shut down in ${timeoutMs} ms, so its VM was killed`,
  })
}

/** Ends a VM: by asking the guest for as long as the timeout allows, then by force. @returns whether the guest did it by itself */
export async function endMachine(
  context: ShedsContext,
  { name, live, timeoutMs }: { name: string; live: LiveShed; timeoutMs: number },
): Promise<boolean> {
  live.ending = true
  const graceful = timeoutMs > 0 && (await askToPowerOff(live, timeoutMs))
  await live.machine.kill()
  live.closeAgent()
  context.live.delete(name)
  await rm(context.layout.shed(name).machine, { force: true })
  return graceful
}

/** @returns whether the guest shut down in time */
async function askToPowerOff(live: LiveShed, timeoutMs: number): Promise<boolean> {
  const late = new Promise<'late'>((resolve) => {
    setTimeout(resolve, timeoutMs, 'late').unref()
  })
  // An agent that cannot be asked is no reason not to stop: the VM is then killed at once.
  const asked = live
    .agent()
    .then((agent) => agent.poweroff())
    .catch(() => 'unasked' as const)
  const exited = live.machine.exited.then(() => 'exited' as const)
  const first = await Promise.race([asked, exited, late])
  if (first === 'unasked') return false
  return (await Promise.race([exited, late])) === 'exited'
}
