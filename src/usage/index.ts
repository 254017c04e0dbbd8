/**
 * usage: who holds which bytes.
 *
 * Belongs here: the report of what is on disk, the plan of a prune as a value, its execution.
 * Promises: figures are measured, not summed up from names (accounting/), on a thread of their own; nothing is removed that somebody may still refer to.
 * Never: asks the user.
 */
export { openUsage, type UsageOptions } from './open-usage.ts'
export type { PressureSettings } from './pressure/relieve-pressure.ts'
export type { Usage } from './usage.ts'
