import type { ShedsContext } from '../context.ts'
import type { LiveShed } from './live-shed.ts'

/** How long a guest may take to set its clock, in milliseconds. */
export const clockMs = 10_000

/** Tells a guest that has stood still what time it is. One that does not hear it runs all the same, some time behind: that is told as an event. */
export async function setGuestClock({ events }: Pick<ShedsContext, 'events'>, live: LiveShed): Promise<void> {
  try {
    const agent = await live.agent()
    await agent.setClock(BigInt(Date.now()) * 1_000_000n, { timeoutMs: clockMs })
  } catch (error) {
    events.append({
      type: 'shed.clock_unset',
      subject: live.name,
      message: `its clock could not be set: ${String(error)}`,
    })
  }
}
