import type { ShedsContext } from '../context.ts'
import { refuseFailed } from '../records/refuse-failed.ts'
import type { ShedRecord } from '../records/shed-record.ts'
import type { LongWork } from '../sheds.ts'
import { bootFromDisk } from './boot-from-disk.ts'
import { wakeShed } from './wake-shed.ts'

export interface StartWork extends LongWork {
  /** A shed that sleeps is booted from its disk: what is in its memory is lost. */
  readonly coldBoot?: boolean | undefined
}

/** Starts a settled shed, inside its transition; one that is there already, or sleeps, goes on where it was. @see Sheds.start */
export async function startShed(context: ShedsContext, record: ShedRecord, work: StartWork): Promise<ShedRecord> {
  refuseFailed(context, record)
  const isBooted = record.status === 'running' || record.status === 'paused'
  if (isBooted || (record.status === 'cold' && work.coldBoot !== true)) return await wakeShed(context, record, work)
  return await bootFromDisk(context, record, work)
}
