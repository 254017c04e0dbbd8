import { Problem } from '../base/index.ts'
import { bootShed } from './boot-shed.ts'
import { changeStatus, type ShedsContext } from './context.ts'
import type { ShedRecord } from './shed-record.ts'
import type { LongWork } from './sheds.ts'

/** Starts a stopped or crashed shed, inside its transition. @see Sheds.start */
export async function startShed(context: ShedsContext, record: ShedRecord, work: LongWork): Promise<ShedRecord> {
  if (record.status === 'running') return record
  if (record.status !== 'stopped' && record.status !== 'crashed') {
    throw new Problem('SHED_NOT_STOPPED', `the shed ${record.name} is ${record.status}`, {
      hint: `see what it is doing: cowshed inspect ${record.name}`,
    })
  }
  const starting = await changeStatus(context, record, { status: 'starting' })
  try {
    await bootShed(context, starting, work)
  } catch (error) {
    await changeStatus(context, starting, { status: 'stopped', reason: `its start failed: ${messageOf(error)}` })
    throw error
  }
  return await changeStatus(context, starting, { status: 'running' })
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
