import { type DedupeOutcome, dedupeRange } from '../../host/index.ts'
import type { DedupeFile } from './dedupe-job.ts'
import { movedContent, onlyZeros } from './find-duplicates.ts'
import type { Segments } from './find-segments.ts'
import { firstFile, firstLogical } from './hash-segments.ts'
import { type NamedFiles, openNamedFiles } from './open-named-files.ts'
import { openScratch, type Scratch } from './open-scratch.ts'
import { type Runs, segmentOf } from './plan-runs.ts'

export interface ShareRuns {
  readonly segments: Segments
  readonly firstBlock: Float64Array
  readonly runs: Runs
  readonly files: readonly DedupeFile[]
  readonly block: number
  readonly staging: string
  /** Told of bytes of files that are dealt with; may wait. */
  readonly onShared: (bytes: number) => Promise<void>
}

export type ShareOutcome = Record<DedupeOutcome, number>

/**
 * Shares what was planned, in the order of the plan: whoever gives blocks has those that it keeps by then. Any part of it may be done, and all of it may be done
 * again. Files that are gone, and ranges whose bytes are not the same any more, are left alone.
 *
 * @throws a system error
 */
export async function shareRuns(work: ShareRuns): Promise<ShareOutcome> {
  const { segments, runs, block } = work
  const total = { shared: 0, differs: 0, refused: 0 }
  using named = openNamedFiles(work.files)
  using scratch = openScratch(work.staging)
  for (const [run, segment] of runs.segment.entries()) {
    const length = (runs.blocks[run] ?? 0) * block
    const source = sourceOf(work, { run, length, named, scratch })
    const [first, end] = [segments.firstReference[segment] ?? 0, segments.firstReference[segment + 1] ?? 0]
    for (let reference = first; reference < end; reference++) {
      const to = named.file(segments.file[reference] ?? 0)
      const toOffset = (segments.logical[reference] ?? 0) + (runs.firstBlock[run] ?? 0) * block
      const outcome =
        source === undefined || to === undefined ? gone(length) : dedupeRange({ ...source, to, toOffset, length })
      if (runs.from[run] !== movedContent) for (const what of outcomes) total[what] += outcome[what]
      await work.onShared(length)
    }
  }
  return total
}

const outcomes = ['shared', 'differs', 'refused'] as const

/** What is not there is not the same any more. */
function gone(length: number): ShareOutcome {
  return { shared: 0, differs: length, refused: 0 }
}

interface FindSource {
  readonly run: number
  readonly length: number
  readonly named: NamedFiles
  readonly scratch: Scratch
}

interface Source {
  readonly from: number
  readonly fromOffset: number
}

/** Where there is what a run is to have; undefined when it is gone. */
function sourceOf(work: ShareRuns, { run, length, named, scratch }: FindSource): Source | undefined {
  const { segments, firstBlock, runs, block } = work
  const from = runs.from[run] ?? 0
  if (from === onlyZeros) return { from: scratch.hole(length), fromOffset: 0 }
  if (from === movedContent) {
    const segment = runs.segment[run] ?? 0
    const file = named.file(firstFile(segments, segment))
    if (file === undefined) return undefined
    return scratch.copy(file, firstLogical(segments, segment) + (runs.firstBlock[run] ?? 0) * block, length)
  }
  const segment = segmentOf(firstBlock, from)
  const file = named.file(firstFile(segments, segment))
  if (file === undefined) return undefined
  return { from: file, fromOffset: firstLogical(segments, segment) + (from - (firstBlock[segment] ?? 0)) * block }
}
