import type { Shed } from '../../contract/index.ts'
import type { Metric } from './render-metrics.ts'

/** How many sheds there are, by what becomes of them; never their names. */
export function shedMetrics(sheds: readonly Pick<Shed, 'status'>[]): Metric[] {
  const counts = new Map<string, number>()
  for (const { status } of sheds) counts.set(status, (counts.get(status) ?? 0) + 1)
  const samples = [...counts].sort().map(([status, value]) => ({ labels: { status }, value }))
  return [{ name: 'cowshed_sheds', help: 'Sheds, by their status.', type: 'gauge', samples }]
}
