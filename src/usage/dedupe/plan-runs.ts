import { type Duplicates, onlyZeros, ownContent } from './find-duplicates.ts'
import type { Segments } from './find-segments.ts'

/** Neighbouring blocks of a segment that have the content of as many neighbouring blocks elsewhere: columns that belong together. */
export interface Runs {
  /** The segment whose references get the blocks of others, and which of its blocks. */
  readonly segment: readonly number[]
  readonly firstBlock: readonly number[]
  readonly blocks: readonly number[]
  /**
   * The number of the first block with the same content, of an earlier segment or earlier in this one; `onlyZeros` for a hole, `movedContent` for a copy that
   * is made of it.
   */
  readonly from: readonly number[]
}

/** Collects runs. */
export function noRuns() {
  const [segment, firstBlock, blocks, from] = [[], [], [], []] as [number[], number[], number[], number[]]
  return {
    segment,
    firstBlock,
    blocks,
    from,
    add(...run: readonly [segment: number, firstBlock: number, blocks: number, from: number]): void {
      for (const [at, column] of [segment, firstBlock, blocks, from].entries()) column.push(run[at] ?? 0)
    },
  }
}

/** Finds runs, as long as they can be, in every segment that `may` let go of its blocks. */
export function planRuns(segments: Segments, duplicates: Duplicates, may: (segment: number) => boolean): Runs {
  const runs = noRuns()
  for (let segment = 0; segment < segments.count; segment++) {
    if (may(segment)) addRuns(runs, segment, duplicates)
  }
  return runs
}

function addRuns(runs: ReturnType<typeof noRuns>, segment: number, { firstBlock, sameAs }: Duplicates): void {
  const [start, end] = [firstBlock[segment] ?? 0, firstBlock[segment + 1] ?? 0]
  const endOfSegment = (number: number) => firstBlock[segmentOf(firstBlock, number) + 1] ?? 0
  const zerosGoOn = (number: number) => sameAs[number] === onlyZeros
  // A range cannot be shared with one that overlaps it.
  const sourceGoesOn = (first: number, endOfSource: number) => (number: number, blocks: number) =>
    first + blocks < endOfSource && contentOf(sameAs, first + blocks) === sameAs[number]
  for (let number = start; number < end; ) {
    const first = sameAs[number] ?? ownContent
    if (first === ownContent) {
      number++
      continue
    }
    const goesOn = first === onlyZeros ? zerosGoOn : sourceGoesOn(first, Math.min(number, endOfSegment(first)))
    let blocks = 1
    while (number + blocks < end && goesOn(number + blocks, blocks)) blocks++
    runs.add(segment, number - start, blocks, first)
    number += blocks
  }
}

/** The number of the first block with the content of this one. */
function contentOf(sameAs: Uint32Array, number: number): number {
  const first = sameAs[number] ?? ownContent
  return first === ownContent ? number : first
}

/** The segment that has a block, by bisection. */
export function segmentOf(firstBlock: Float64Array, number: number): number {
  let [low, high] = [0, firstBlock.length - 2]
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if ((firstBlock[middle] ?? 0) <= number) low = middle
    else high = middle - 1
  }
  return low
}
