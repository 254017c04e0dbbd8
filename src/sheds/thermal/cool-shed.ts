import { formatDuration } from '../../base/index.ts'
import type { ThermalSettings } from '../../contract/index.ts'
import type { ShedsContext } from '../context.ts'
import { loadShed } from '../records/load-shed.ts'
import type { ShedRecord } from '../records/shed-record.ts'
import { settleShed } from '../settle-shed.ts'
import { pauseShed } from '../verbs/pause-shed.ts'
import { sleepShed } from '../verbs/sleep-shed.ts'
import { writeBack } from '../vm/write-back.ts'
import { chooseTemperature, type Temperature } from './choose-temperature.ts'
import { thermalSettings } from './thermal-settings.ts'

/** What a shed with a record like this is to be at this moment; undefined when it stays as it is, or is not one that becomes colder. */
export function colderTemperature(context: ShedsContext, record: ShedRecord): 'warm' | 'cold' | undefined {
  const now = temperatureOf(record)
  if (now === undefined) return undefined
  const settings = thermalSettings(record, context.idle)
  const chosen = chooseTemperature({ settings, now, idleMs: context.uses.idle(record.name)?.ms })
  return chosen === now || chosen === 'hot' ? undefined : chosen
}

function temperatureOf({ status }: ShedRecord): Temperature | undefined {
  if (status === 'running') return 'hot'
  return status === 'paused' ? 'warm' : undefined
}

/**
 * Makes a shed that nobody uses less than hot, if it still is to be; inside its transition.
 *
 * @throws Problem MACHINE_FAILED, NO_SPACE, SHED_NOT_RUNNING; the shed is then as it was
 */
export async function coolShed(context: ShedsContext, name: string): Promise<void> {
  const record = await settleShed(context, await loadShed(context, name))
  if (record === undefined) return
  // Nothing is waited for between this and `whileCooling`: who begins to use it before is seen here, who does after sees that it cools.
  const chosen = colderTemperature(context, record)
  if (chosen === undefined) return
  const reason = reasonOf(chosen, thermalSettings(record, context.idle))
  await context.uses.whileCooling(name, async () => {
    if (chosen === 'cold') return await sleepShed(context, record, reason)
    const live = context.live.get(name)
    // It may become cold from here, and then its guest cannot be asked any more.
    if (live !== undefined) await writeBack(live)
    return await pauseShed(context, record, reason)
  })
}

function reasonOf(chosen: 'warm' | 'cold', { warm_after_ms, cold_after_ms }: ThermalSettings): string {
  const after = chosen === 'warm' ? warm_after_ms : cold_after_ms
  return `nobody used it for ${after === 'never' ? 'long' : formatDuration(after)}`
}
