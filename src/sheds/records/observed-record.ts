import { isLocked } from '../../host/index.ts'
import { type ShedsContext, withStatus } from '../context.ts'
import type { ShedRecord } from './shed-record.ts'
import { couldNotSleep, statusAfter } from './status-after.ts'

/**
 * A record as it is to be shown: one that speaks of a VM that is dead does not say so, nor one that speaks of a sleep that nobody is about any more while the VM runs.
 * That happens when the record could not be written when the VM ended, or went on, on a full disk for one. Looks only; the next transition of the shed writes it down.
 */
export async function observedRecord(context: ShedsContext, record: ShedRecord): Promise<ShedRecord> {
  const speaksOfVm = ['starting', 'running', 'paused', 'sleeping', 'waking', 'stopping'].includes(record.status)
  if (!speaksOfVm || context.transitions.isBusy(record.name)) return record
  const live = context.live.get(record.name)
  const runs = live === undefined ? await isLocked(context.layout.shed(record.name).vmmLock) : live.exit === undefined
  if (runs) {
    if (record.status !== 'sleeping' || live === undefined || live.isKept) return record
    return { ...record, status: live.isPaused === true ? 'paused' : 'running', status_reason: couldNotSleep }
  }
  // When that was, only the record could say.
  const { changed_at } = record
  return { ...withStatus(record, await statusAfter(context, record, live?.exit)), changed_at }
}
