import type { Bytes } from './space.ts'
import type { Intervals, Segment } from './sweep-intervals.ts'

/** btrfs: a compressed extent takes from one sector to less than the 128 KiB that were compressed. */
export const encodedBytes: Bytes = { atLeast: 4096, atMost: 128 * 1024 }
/** btrfs: no extent is longer. */
const longestExtent = 128 * 2 ** 20

/**
 * How much of the disk the extents that are seen in a segment may take: of an extent that has been overwritten in part, the part that no file
 * refers to any more still takes its place, in the gap before or behind what is seen.
 *
 * @returns a function of each segment, asked in ascending order
 */
export function unseenRoom(intervals: Intervals): (segment: Segment) => Bytes {
  const gaps = gapsBetween(intervals)
  let at = 0
  return ({ start, end, encoded }) => {
    if (encoded) return encodedBytes
    while ((gaps[at]?.end ?? Number.POSITIVE_INFINITY) < start) at++
    const before = gaps[at]?.end === start ? gaps[at] : undefined
    const after = [gaps[at], gaps[at + 1]].find((gap) => gap?.start === end)
    const room = [before, after].map((gap) => Math.min(longestExtent, gap === undefined ? 0 : gap.end - gap.start))
    return { atLeast: end - start, atMost: room.reduce((sum, bytes) => sum + bytes, end - start) }
  }
}

interface Gap {
  readonly start: number
  readonly end: number
}

/** Where nothing is seen, in ascending order. */
function gapsBetween({ starts, ends }: Intervals): Gap[] {
  const gaps: Gap[] = []
  const order = [...starts.keys()].sort((a, b) => (starts[a] ?? 0) - (starts[b] ?? 0))
  let covered = Number.NEGATIVE_INFINITY
  for (const at of order) {
    const start = starts[at] ?? 0
    if (start > covered) gaps.push({ start: covered, end: start })
    covered = Math.max(covered, ends[at] ?? 0)
  }
  gaps.push({ start: covered, end: Number.POSITIVE_INFINITY })
  return gaps
}
