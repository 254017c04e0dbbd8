import { join } from 'node:path'
import { createUpper } from '../disks/index.ts'
import { installFile, openStaging } from '../host/index.ts'
import type { ShedsContext } from './context.ts'
import type { ShedRecord } from './shed-record.ts'
import type { LongWork } from './sheds.ts'
import { startShed } from './start-shed.ts'
import { stopShed } from './stop-shed.ts'

/** Back to the image, inside the shed's transition. @see Sheds.reset */
export async function resetShed(context: ShedsContext, record: ShedRecord, work: LongWork): Promise<ShedRecord> {
  const wasRunning = context.live.has(record.name)
  // What is on the upper is thrown away: no reason to wait for the guest to write it back.
  const stopped = wasRunning ? await stopShed(context, record, 0) : record
  await replaceUpper(context, stopped)
  context.events.append({
    type: 'shed.reset',
    subject: record.name,
    message: `shed ${record.name} is back at its image`,
  })
  return wasRunning ? await startShed(context, stopped, work) : stopped
}

/** The new upper takes the old one's place in one rename: there is always one or the other. */
async function replaceUpper({ layout }: ShedsContext, record: ShedRecord): Promise<void> {
  await using staging = await openStaging(layout, `reset-${record.name}`)
  const fresh = join(staging.path, 'upper')
  await createUpper(layout, { bytes: record.upper_bytes, to: fresh })
  await installFile({ from: fresh, to: layout.shed(record.name).upper, mode: 0o600 })
}
