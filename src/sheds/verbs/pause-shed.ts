import { changeStatus, type ShedsContext } from '../context.ts'
import { type ShedRecord, shedNotRunning, shedSleeps } from '../records/shed-record.ts'

/** Has a settled shed stand still, inside its transition. @param reason why, when nobody asked for it @see Sheds.pause */
export async function pauseShed(context: ShedsContext, record: ShedRecord, reason?: string): Promise<ShedRecord> {
  const live = context.live.get(record.name)
  if (record.status === 'paused') return record
  if (record.status === 'cold') throw shedSleeps(record.name)
  if (live === undefined) throw shedNotRunning(record.name)
  await live.pause()
  try {
    return await changeStatus(context, record, { status: 'paused', reason })
  } catch (error) {
    await live.resume()
    throw error
  }
}
