import { join } from 'node:path'
import { installFile, openStaging } from '../host/index.ts'
import { changeStatus, type ShedsContext } from './context.ts'
import { createDisk, diskPath } from './shed-disk.ts'
import type { ShedRecord } from './shed-record.ts'
import type { LongWork } from './sheds.ts'
import { startShed } from './start-shed.ts'
import { stopShed } from './stop-shed.ts'

/**
 * Back to the image: a settled shed is stopped, gets a new disk in one rename, and is started again when it ran; inside its transition. Cut
 * off between two of these, it is stopped, with the old disk or the new one. @see Sheds.reset
 */
export async function resetShed(context: ShedsContext, record: ShedRecord, work: LongWork): Promise<ShedRecord> {
  const { layout, events } = context
  const wasRunning = context.live.has(record.name)
  await using staging = await openStaging(layout, `reset-${record.name}`)
  const fresh = join(staging.path, 'disk')
  // Before the shed is stopped: what cannot be had, for lack of space say, must not cost it its run.
  await createDisk(context, { record, to: fresh, work })
  // What is on the disk is thrown away: no reason to wait for the guest to write it back.
  const stopped = await stopShed(context, record, 0)
  await installFile({ from: fresh, to: diskPath(layout, record), mode: 0o600 })
  // Its disk is another one, so it is not what a plan of an hour ago saw, nor what crashed.
  const clean = await changeStatus(context, stopped, { status: 'stopped' })
  events.append({ type: 'shed.reset', subject: record.name, message: `shed ${record.name} is back at its image` })
  return wasRunning ? await startShed(context, clean, work) : clean
}
