import { changeStatus, noteStatus, type ShedsContext } from './context.ts'
import { runShed } from './run-shed.ts'
import type { ShedRecord } from './shed-record.ts'
import type { LongWork } from './sheds.ts'

/** Starts a settled shed, inside its transition. @see Sheds.start */
export async function startShed(context: ShedsContext, record: ShedRecord, work: LongWork): Promise<ShedRecord> {
  if (record.status === 'running') return record
  const starting = await changeStatus(context, record, { status: 'starting' })
  try {
    return await runShed(context, starting, work)
  } catch (error) {
    await noteStatus(context, starting, { status: 'stopped', reason: `its start failed: ${messageOf(error)}` })
    throw error
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
