import { within } from '../../host/index.ts'
import type { LiveShed } from './live-shed.ts'

/** How long a guest may take to write back what it has, in milliseconds: it is in its memory in any case. */
const syncMs = 5000

/** Has a guest that is about to stand still write back what it has, if it can: less is lost then when nobody can go on from its memory, some day. */
export async function writeBack(live: LiveShed): Promise<void> {
  if (live.isPaused === true) return
  const synced = live.agent().then((agent) => agent.sync())
  await within(synced, syncMs).catch(() => undefined)
}
