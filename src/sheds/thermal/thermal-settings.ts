import type { ThermalSettings } from '../../contract/index.ts'
import type { ShedRecord } from '../records/shed-record.ts'

/** What becomes of a shed that nobody uses when it does not say itself: nothing, unless config.toml does. */
export interface IdleDefaults {
  readonly warmAfterMs?: number | undefined
  readonly coldAfterMs?: number | undefined
}

/** What counts for a shed: what it says itself, else what the daemon was told. */
export function thermalSettings({ thermal }: Pick<ShedRecord, 'thermal'>, idle: IdleDefaults): ThermalSettings {
  return {
    warm_after_ms: thermal?.warm_after_ms ?? idle.warmAfterMs ?? 'never',
    cold_after_ms: thermal?.cold_after_ms ?? idle.coldAfterMs ?? 'never',
    keep_hot: thermal?.keep_hot ?? false,
  }
}

/** Whether a shed may ever become less than hot without being told to. */
export function coolsByItself({ warm_after_ms, cold_after_ms, keep_hot }: ThermalSettings): boolean {
  return !keep_hot && (warm_after_ms !== 'never' || cold_after_ms !== 'never')
}
