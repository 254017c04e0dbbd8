import { mark } from '../../host/index.ts'
import { randomNames } from './random-names.ts'

/** Intervals of addresses, each of one file: what is at the same place in each array belongs together. */
export interface Intervals {
  readonly starts: Float64Array
  readonly ends: Float64Array
  readonly files: Uint32Array
  readonly marks: Uint8Array
}

/** Two neighbouring starts or ends, and who refers to all that is between them. */
export interface Segment {
  readonly start: number
  readonly end: number
  /** How many intervals cover it. */
  readonly references: number
  /** Whether any of them is marked so. */
  readonly shared: boolean
  readonly encoded: boolean
  /** Ascending, each once. Costs its length; `key` names the same set for nothing. */
  files(): number[]
  readonly key: string
}

/** Visits every segment that is covered, in the order of addresses. A segment is good until the visit is over. */
export function sweepIntervals(intervals: Intervals, fileCount: number, visit: (segment: Segment) => void): void {
  const { starts, ends } = intervals
  const active = activeIntervals(intervals, fileCount)
  const [opening, closing] = [orderOf(starts), orderOf(ends)]
  let start = Number.NaN
  for (let opened = 0, closed = 0; closed < closing.length; ) {
    const [open, close] = [opening[opened], closing[closed] ?? 0]
    const nextOpen = open === undefined ? Number.POSITIVE_INFINITY : (starts[open] ?? 0)
    const nextClose = ends[close] ?? 0
    const here = Math.min(nextOpen, nextClose)
    if (here > start && active.any()) visit(active.segment(start, here))
    start = here
    if (open !== undefined && nextOpen < nextClose) {
      active.change(open, 1)
      opened++
    } else {
      active.change(close, -1)
      closed++
    }
  }
}

/** Sorted as numbers alone, which takes a fraction of what a comparison function does; those of the same value stay in their order. */
function orderOf(values: Float64Array): Uint32Array {
  const next = new Map<number, number>()
  for (const [place, value] of values.slice().sort().entries()) if (!next.has(value)) next.set(value, place)
  const order = new Uint32Array(values.length)
  for (const [index, value] of values.entries()) {
    const place = next.get(value) ?? 0
    order[place] = index
    next.set(value, place + 1)
  }
  return order
}

/** The intervals that cover the place where the sweep is, and their files. */
function activeIntervals({ files, marks }: Intervals, fileCount: number) {
  const counts = new Int32Array(fileCount)
  const names = randomNames(fileCount)
  const now = new Set<number>()
  let [references, shared, encoded, first, second] = [0, 0, 0, 0, 0]
  return {
    any: () => references > 0,
    change(interval: number, by: 1 | -1): void {
      const file = files[interval] ?? 0
      const bits = marks[interval] ?? 0
      references += by
      if ((bits & mark.shared) !== 0) shared += by
      if ((bits & mark.encoded) !== 0) encoded += by
      const before = counts[file] ?? 0
      counts[file] = before + by
      if (before !== 0 && before + by !== 0) return
      if (by === 1) now.add(file)
      else now.delete(file)
      first ^= names[2 * file] ?? 0
      second ^= names[2 * file + 1] ?? 0
    },
    segment: (start: number, end: number): Segment => ({
      start,
      end,
      references,
      shared: shared > 0,
      encoded: encoded > 0,
      files: () => [...now].sort((a, b) => a - b),
      key: `${first},${second}`,
    }),
  }
}
