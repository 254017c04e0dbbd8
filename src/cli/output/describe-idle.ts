import { formatDuration } from '../../base/index.ts'
import type { Shed } from '../../contract/index.ts'

/** What becomes of a shed that nobody uses. */
export function describeIdle({ thermal: { warm_after_ms, cold_after_ms, keep_hot } }: Pick<Shed, 'thermal'>): string {
  if (keep_hot) return 'is kept hot'
  const times = [
    ...(warm_after_ms === 'never' ? [] : [`paused after ${formatDuration(warm_after_ms)}`]),
    ...(cold_after_ms === 'never' ? [] : [`put to sleep after ${formatDuration(cold_after_ms)}`]),
  ]
  return times.length === 0 ? 'stays hot' : times.join(', ')
}
