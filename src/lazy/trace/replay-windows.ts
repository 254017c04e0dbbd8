import { type BootTrace, type ChunkMap, type LeafRun, leafBytes } from '../../formats/index.ts'

/** Leaves between two runs that are fetched with them: less than another request costs. */
const maxGap = 2
/** Leaves of one request: 8 MiB. The chunk in which a longer run is cut comes twice. */
const maxLeaves = 128

/** The runs of a trace as they are worth fetching: neighbours together, and those that need the same chunk; what is read first comes first. No two overlap. @param map of the lower */
export function replayWindows({ runs }: Pick<BootTrace, 'runs'>, map: ChunkMap): LeafRun[] {
  const byPlace = runs.map((run, turn) => ({ ...run, turn })).sort((a, b) => a.first - b.first)
  const merged: Turned[] = []
  for (const run of byPlace) {
    const last = merged.at(-1)
    if (last !== undefined && isOneRequest(last, run, map)) {
      last.count = run.first + run.count - last.first
      last.turn = Math.min(last.turn, run.turn)
    } else merged.push({ ...run })
  }
  return merged.sort((a, b) => a.turn - b.turn).flatMap(cut)
}

function isOneRequest(run: LeafRun, next: LeafRun, map: ChunkMap): boolean {
  const end = run.first + run.count
  return next.first - end <= maxGap || chunksOf(end - 1, map).at(-1)?.offset === chunksOf(next.first, map)[0]?.offset
}

function chunksOf(leaf: number, map: ChunkMap) {
  const offset = leaf * leafBytes
  return map.locate(offset, Math.min(leafBytes, map.lowerBytes - offset))
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
