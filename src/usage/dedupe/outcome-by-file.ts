import type { DedupeOutcomeOfFile } from './dedupe-job.ts'
import { movedContent } from './find-duplicates.ts'
import { goingExtents, type PredictGain } from './predict-gain.ts'

/** What comes of a plan for each file. What several files have is counted as freed by the first of them. */
export function outcomeByFile(plan: PredictGain, files: number): DedupeOutcomeOfFile[] {
  const [shared, freed] = [new Float64Array(files), new Float64Array(files)]
  const { segments, runs, block, mapper } = plan
  const add = (sums: Float64Array, at: number, bytes: number) => {
    sums[at] = (sums[at] ?? 0) + bytes
  }
  for (const [run, segment] of runs.segment.entries()) {
    const bytes = (runs.blocks[run] ?? 0) * block
    const [first, end] = [segments.firstReference[segment] ?? 0, segments.firstReference[segment + 1] ?? 0]
    if (runs.from[run] === movedContent) {
      add(freed, segments.file[first] ?? 0, -bytes)
      continue
    }
    for (let at = first; at < end; at++) add(shared, segments.file[at] ?? 0, bytes)
    if (mapper.unit !== 'extent') add(freed, segments.file[first] ?? 0, bytes)
  }
  if (mapper.unit === 'extent') {
    const going = goingExtents(plan)
    for (let segment = 0; segment < segments.count && going.size > 0; segment++) {
      const extent = segments.extent[segment] ?? 0
      if (!going.delete(extent)) continue
      add(freed, segments.file[segments.firstReference[segment] ?? 0] ?? 0, plan.extents.diskBytes[extent] ?? 0)
    }
  }
  return Array.from(shared, (sharedBytes, at) => ({ sharedBytes, freedBytes: freed[at] ?? 0 }))
}
