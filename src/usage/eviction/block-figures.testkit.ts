import { exactly } from '../accounting/space.ts'
import { freedSize, sumSizes } from '../disk-file.ts'
import type { EvictableEntry, EvictionFigures } from './plan-eviction.ts'

/** Figures for a filesystem on which no two files share anything but names. */
export function blockFigures(entries: readonly EvictableEntry[], going: readonly EvictableEntry[]): EvictionFigures {
  let freed = 0
  const marginal = going.map((_, at) => {
    const before = freed
    freed = freedSize(going.slice(0, at + 1).flatMap(({ files }) => files)).physical_bytes
    return exactly(freed - before)
  })
  return {
    used: exactly(sumSizes(entries.flatMap(({ files }) => files)).physical_bytes),
    marginal,
    useless: async (count) =>
      new Set(marginal.slice(0, count).flatMap((bytes, at) => (bytes.atMost === 0 ? [at] : []))),
  }
}
