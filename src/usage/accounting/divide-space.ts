import { type Extents, mark } from '../../host/index.ts'
import { exactly, type Space, spaceTable } from './space.ts'
import { type Intervals, type Segment, sweepIntervals } from './sweep-intervals.ts'
import { encodedBytes, unseenRoom } from './unseen-room.ts'

/** A file is an owner; its number is its place in the list. */
export interface FileExtents {
  readonly extents: Extents
  /** It has a name that is not among those that we know: it stays when they go. */
  readonly namedElsewhere: boolean
}

/**
 * - `extent`: freed as a whole, when nothing refers to any part of it any more.
 * - `block`: blocks are freed one by one.
 * - `unseen`: extents are freed as a whole, and how long they are cannot be seen.
 */
export type FreeingUnit = 'extent' | 'block' | 'unseen'

export interface DivideSpace {
  readonly files: readonly FileExtents[]
  readonly unit: FreeingUnit
  /** For `extent`: how often anything refers to what begins at these addresses, ascending. */
  readonly references?: ((addresses: Float64Array) => Float64Array) | undefined
}

export interface DividedSpace {
  readonly spaces: Space[]
  /** Files whose extents may not be what the filesystem says of them now, if they were read a while ago. */
  readonly doubtful: ReadonlySet<number>
}

/**
 * Divides the disk among files: one sweep over the starts and ends of all their extents, in the order of their addresses. Between two of those
 * the same files refer to every byte.
 */
export function divideSpace({ files, unit, references }: DivideSpace): DividedSpace {
  const intervals = intervalsOf(files, unit)
  const count = counter(intervals, unit === 'extent' ? references : undefined)
  const room = unit === 'unseen' ? unseenRoom(intervals) : undefined
  const table = spaceTable()
  const doubtful = new Set<number>()
  sweepIntervals(intervals, files.length, (segment) => {
    const judged = judge(unit, segment, count(segment.start))
    if (judged.doubtful) for (const file of segment.files()) doubtful.add(file)
    table.add(segment.key, judged.others, room?.(segment) ?? exactly(segment.end - segment.start), segment.files)
  })
  return { spaces: keepNamedElsewhere(table.done(), files), doubtful }
}

interface Judgement {
  readonly others: Space['others']
  readonly doubtful: boolean
}

/** @param counted how often anything refers to it, if that can be asked */
function judge(unit: FreeingUnit, { references, shared }: Segment, counted: number | undefined): Judgement {
  if (unit === 'unseen') return { others: shared ? 'unknown' : 'none', doubtful: false }
  if (unit === 'block') {
    // If several of ours share it, whether anybody else does cannot be seen; one alone does not share it with itself.
    const others = shared && references === 1 ? 'some' : 'none'
    return { others, doubtful: others === 'some' }
  }
  if (counted === undefined || counted < references) return { others: 'unknown', doubtful: true }
  if (counted > references) return { others: 'some', doubtful: false }
  // Shared all the same: through a snapshot of the subvolume, which no count shows; or among ours, which the mark shows as well.
  if (shared) return { others: references === 1 ? 'some' : 'unknown', doubtful: false }
  return { others: 'none', doubtful: false }
}

function keepNamedElsewhere(spaces: readonly Space[], files: readonly FileExtents[]): Space[] {
  return spaces.map((space) =>
    space.owners.some((owner) => files[owner]?.namedElsewhere === true) ? { ...space, others: 'some' } : space,
  )
}

function intervalsOf(files: readonly FileExtents[], unit: FreeingUnit): Intervals {
  const count = files.reduce((sum, { extents }) => sum + extents.starts.length, 0)
  const all = {
    starts: new Float64Array(count),
    ends: new Float64Array(count),
    files: new Uint32Array(count),
    marks: new Uint8Array(count),
  }
  let at = 0
  for (const [file, { extents }] of files.entries()) {
    for (const [index, start] of extents.starts.entries()) {
      const marks = extents.marks[index] ?? 0
      // Where it begins is all that is known of an encoded extent; its neighbour may begin before its content's length is over.
      const isPoint = unit === 'unseen' && (marks & mark.encoded) !== 0
      all.starts[at] = start
      all.ends[at] = start + (isPoint ? encodedBytes.atLeast : (extents.lengths[index] ?? 0))
      all.files[at] = file
      all.marks[at] = marks
      at++
    }
  }
  return all
}

/** @returns what is counted at an address, asked in ascending order */
function counter({ starts }: Intervals, references: DivideSpace['references']): (start: number) => number | undefined {
  if (references === undefined) return () => undefined
  const addresses = Float64Array.from(new Set(starts)).sort()
  const counted = references(addresses)
  let at = 0
  return (start) => {
    while ((addresses[at] ?? Number.POSITIVE_INFINITY) < start) at++
    return addresses[at] === start ? counted[at] : undefined
  }
}
