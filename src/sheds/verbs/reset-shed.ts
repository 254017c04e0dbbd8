import { join } from 'node:path'
import { installFile, openStaging } from '../../host/index.ts'
import { refusePinned } from '../../state/index.ts'
import { changeStatus, type ShedsContext } from '../context.ts'
import { type ShedRecord, writesToVolumes } from '../records/shed-record.ts'
import { createDisk, diskPath, tellClone } from '../shed-disk.ts'
import type { LongWork } from '../sheds.ts'
import { startShed } from './start-shed.ts'
import { stopShed, volumeStopMs } from './stop-shed.ts'

/**
 * Back to the image: a settled shed is stopped, gets a new disk in one rename, and is started again when it ran; inside its transition. Cut
 * off between two of these, it is stopped, with the old disk or the new one. @see Sheds.reset
 */
export async function resetShed(context: ShedsContext, record: ShedRecord, work: LongWork): Promise<ShedRecord> {
  const { layout, events } = context
  await refusePinned(context.pins, { kind: 'shed', id: record.name }, record.name)
  const wasRunning = context.live.has(record.name)
  // It keeps the place that it has: whoever is to be started meanwhile must not cost it its run.
  using _place = wasRunning ? await context.admission.admit(record) : undefined
  await using staging = await openStaging(layout, `reset-${record.name}`)
  const fresh = join(staging.path, 'disk')
  // Before the shed is stopped: what cannot be had, for lack of space say, must not cost it its run.
  const clone = await createDisk(context, { record, to: fresh, work })
  // What is on its own disk is thrown away: no reason to wait for the guest to write that back, or to wake it.
  const isToShutDown = writesToVolumes(record) && record.status !== 'cold'
  const stopped = await stopShed(context, record, isToShutDown ? volumeStopMs : 0)
  await installFile({ from: fresh, to: diskPath(layout, record), mode: 0o600 })
  tellClone(context, record, clone)
  // Its disk is another one, so it is not what a plan of an hour ago saw, nor what crashed, or failed.
  const { snapshot: _left, forked_from: _gone, failure: _over, ...atImage } = stopped
  const clean = await changeStatus(context, atImage, { status: 'stopped' })
  events.append({ type: 'shed.reset', subject: record.name, message: `shed ${record.name} is back at its image` })
  return wasRunning ? await startShed(context, clean, work) : clean
}
