import type { IdleTime, ThermalSettings } from '../../contract/index.ts'

/** `hot`: its vCPUs run. `warm`: they are paused, its RAM is there. `cold`: its RAM is on the disk and its VM gone. */
export type Temperature = 'hot' | 'warm' | 'cold'

export interface Idleness {
  readonly settings: ThermalSettings
  /** What it is now. */
  readonly now: Temperature
  /** How long nobody has used it; undefined when somebody does. */
  readonly idleMs: number | undefined
}

/** What a shed is to be. Never more than it is: what makes a shed warmer is that somebody uses it. */
export function chooseTemperature({ settings, now, idleMs }: Idleness): Temperature {
  if (settings.keep_hot || idleMs === undefined) return now
  if (now === 'cold' || isOver(settings.cold_after_ms, idleMs)) return 'cold'
  return now === 'warm' || isOver(settings.warm_after_ms, idleMs) ? 'warm' : 'hot'
}

function isOver(time: IdleTime, idleMs: number): boolean {
  return time !== 'never' && idleMs >= time
}
