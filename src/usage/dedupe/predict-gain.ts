import { type Extents, extentList, type FileMap, type FileMapper, mark } from '../../host/index.ts'
import { divideSpace } from '../accounting/divide-space.ts'
import { freed } from '../accounting/questions.ts'
import type { Bytes } from '../accounting/space.ts'
import { movedContent } from './find-duplicates.ts'
import type { Segments, WholeExtents } from './find-segments.ts'
import type { Runs } from './plan-runs.ts'

export interface PredictGain {
  readonly maps: readonly (FileMap | undefined)[]
  readonly segments: Segments
  readonly extents: WholeExtents
  /** All of them are shared. */
  readonly runs: Runs
  readonly block: number
  readonly mapper: Pick<FileMapper, 'unit' | 'references'>
}

const going = 0

/** What is freed when runs are shared: what only references that go refer to. All that stays is one owner, and all that goes another. */
export function predictGain(plan: PredictGain): Bytes {
  const { unit, references } = plan.mapper
  const [goes, stays] = unit === 'extent' ? extentsBySide(plan) : blocksBySide(plan)
  const files = [goes, stays].map((extents) => ({ extents, namedElsewhere: false }))
  const { spaces } = divideSpace({ files, unit: unit === 'extent' ? 'extent' : 'block', references })
  const bytes = freed(spaces, new Set([going]))
  if (unit === 'unseen') return { atLeast: 0, atMost: bytes.atMost }
  const moved = movedBytes(plan)
  return { atLeast: bytes.atLeast - moved, atMost: bytes.atMost - moved }
}

function movedBytes({ runs, block }: PredictGain): number {
  return runs.from.reduce((sum, from, run) => sum + (from === movedContent ? (runs.blocks[run] ?? 0) * block : 0), 0)
}

/** The extents that runs let go of, by their numbers. */
export function goingExtents({ segments, runs }: Pick<PredictGain, 'segments' | 'runs'>): Set<number> {
  return new Set(runs.segment.map((segment) => segments.extent[segment] ?? -1))
}

function extentsBySide(plan: PredictGain): [Extents, Extents] {
  const numbers = goingExtents(plan)
  const addresses = new Set([...numbers].map((extent) => plan.extents.address[extent]))
  const sides = [extentList(), extentList()] as const
  for (const map of plan.maps) {
    for (const [at, address] of map?.extent.entries() ?? []) {
      sides[addresses.has(address) ? 0 : 1].add(address, map?.diskBytes[at] ?? 0, map?.marks[at] ?? 0)
    }
  }
  return [sides[0].done(), sides[1].done()]
}

function blocksBySide({ segments, runs, block }: PredictGain): [Extents, Extents] {
  const sides = [extentList(), extentList()] as const
  let run = 0
  for (let segment = 0; segment < segments.count; segment++) {
    const references = (segments.firstReference[segment + 1] ?? 0) - (segments.firstReference[segment] ?? 0)
    const marks = segments.strange[segment] === 0 ? 0 : mark.shared
    const add = (side: 0 | 1, from: number, to: number) => {
      for (let at = 0; at < references && to > from; at++) {
        sides[side].add((segments.offset[segment] ?? 0) + from, to - from, marks)
      }
    }
    let done = 0
    for (; runs.segment[run] === segment; run++) {
      const start = (runs.firstBlock[run] ?? 0) * block
      const end = start + (runs.blocks[run] ?? 0) * block
      add(1, done, start)
      add(0, start, end)
      done = end
    }
    add(1, done, segments.length[segment] ?? 0)
  }
  return [sides[0].done(), sides[1].done()]
}
