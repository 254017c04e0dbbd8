import type { ShedsContext } from '../context.ts'
import { loadShed } from '../records/load-shed.ts'
import type { ShedRecord } from '../records/shed-record.ts'
import { pauseShed } from './pause-shed.ts'
import { wakeShed } from './wake-shed.ts'

/**
 * Does what only the guest of a settled shed can do, inside its transition. One that stands still goes on for it, and stands still again after it, unless
 * somebody has come to use it.
 *
 * @throws Problem what the work throws; MACHINE_FAILED when it does not go on
 */
export async function whileAwake<T>(context: ShedsContext, record: ShedRecord, work: () => Promise<T>): Promise<T> {
  if (record.status !== 'paused') return await work()
  const { name } = record
  await wakeShed(context, record, {})
  try {
    return await work()
  } finally {
    // One that cannot be paused again runs, as its record says.
    await standStill(context, name).catch(() => undefined)
  }
}

async function standStill(context: ShedsContext, name: string): Promise<void> {
  const awake = await loadShed(context, name)
  if (context.uses.idle(name) === undefined) return
  await context.uses.whileCooling(name, () => pauseShed(context, awake))
}
