import type { Shed } from '../../contract/index.ts'
import type { IdleDefaults } from '../thermal/thermal-settings.ts'
import { type MachineView, type ShedRecord, shedOfRecord } from './shed-record.ts'

/** What is shown of records, the same value for as long as it is the same: who has seen a thousand of them need not compare what is in each. */
export function shedViews(idle: IdleDefaults): (record: ShedRecord, machine: MachineView) => Shed {
  const known = new WeakMap<ShedRecord, { readonly machine: MachineView; readonly shed: Shed }>()
  return (record, machine) => {
    const last = known.get(record)
    if (last !== undefined && isSame(last.machine, machine)) return last.shed
    const shed = shedOfRecord(record, machine, idle)
    known.set(record, { machine, shed })
    return shed
  }
}

function isSame(one: MachineView, other: MachineView): boolean {
  const keys = Object.keys(one) as (keyof MachineView)[]
  return keys.length === Object.keys(other).length && keys.every((key) => one[key] === other[key])
}
