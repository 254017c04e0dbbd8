import type { BootTrace, LeafRun } from '../../formats/index.ts'

/** Leaves between two runs that are fetched with them: less than another request costs. */
const maxGap = 2
/** Leaves of one request: 4 MiB. */
const maxLeaves = 64

/** The runs of a trace as they are worth fetching: neighbours together, and what is read first comes first. No two overlap. */
export function replayWindows({ runs }: Pick<BootTrace, 'runs'>): LeafRun[] {
  const byPlace = runs.map((run, turn) => ({ ...run, turn })).sort((a, b) => a.first - b.first)
  const merged: Turned[] = []
  for (const run of byPlace) {
    const last = merged.at(-1)
    if (last !== undefined && run.first - (last.first + last.count) <= maxGap) {
      last.count = run.first + run.count - last.first
      last.turn = Math.min(last.turn, run.turn)
    } else merged.push({ ...run })
  }
  return merged.sort((a, b) => a.turn - b.turn).flatMap(cut)
}

interface Turned {
  first: number
  count: number
  /** When some of it was read first. */
  turn: number
}

function cut({ first, count }: Turned): LeafRun[] {
  const pieces = Math.ceil(count / maxLeaves)
  return Array.from({ length: pieces }, (_, at) => ({
    first: first + at * maxLeaves,
    count: Math.min(maxLeaves, count - at * maxLeaves),
  }))
}
