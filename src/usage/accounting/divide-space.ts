import { type Extents, mark } from '../../host/index.ts'
import { type CountReferences, divideExtents } from './divide-extents.ts'
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
  /** For `extent`. */
  readonly references?: CountReferences | undefined
}

export interface DividedSpace {
  readonly spaces: Space[]
  /** Files whose extents may not be what the filesystem says of them now, if they were read a while ago. */
  readonly doubtful: ReadonlySet<number>
}

/** Divides the disk among files. */
export function divideSpace({ files, unit, references }: DivideSpace): DividedSpace {
  const { spaces, doubtful } =
    unit === 'extent' ? divideExtents(files, references ?? uncounted) : divideBlocks(files, unit)
  return { spaces: keepNamedElsewhere(spaces, files), doubtful }
}

const uncounted: CountReferences = (addresses) => new Float64Array(addresses.length)

type FreedInParts = Exclude<FreeingUnit, 'extent'>

/** One sweep over the starts and ends of all their extents, in the order of their addresses. Between two of those the same files refer to every byte. */
function divideBlocks(files: readonly FileExtents[], unit: FreedInParts): DividedSpace {
  const intervals = intervalsOf(files, unit)
  const room = unit === 'unseen' ? unseenRoom(intervals) : undefined
  const table = spaceTable()
  const doubtful = new Set<number>()
  sweepIntervals(intervals, files.length, (segment) => {
    const others = othersOf(unit, segment)
    if (others === 'some') for (const file of segment.files()) doubtful.add(file)
    table.add(segment.key, others, room?.(segment) ?? exactly(segment.end - segment.start), segment.files)
  })
  return { spaces: table.done(), doubtful }
}

/** If several of ours share a block, whether anybody else does cannot be seen; one alone does not share it with itself. */
function othersOf(unit: FreedInParts, { references, shared }: Segment): Space['others'] {
  if (unit === 'unseen') return shared ? 'unknown' : 'none'
  return shared && references === 1 ? 'some' : 'none'
}

function keepNamedElsewhere(spaces: readonly Space[], files: readonly FileExtents[]): Space[] {
  if (!files.some(({ namedElsewhere }) => namedElsewhere)) return [...spaces]
  return spaces.map((space) =>
    space.owners.some((owner) => files[owner]?.namedElsewhere === true) ? { ...space, others: 'some' } : space,
  )
}

function intervalsOf(files: readonly FileExtents[], unit: FreedInParts): Intervals {
  const count = files.reduce((sum, { extents }) => sum + extents.starts.length, 0)
  const all = {
    starts: new Float64Array(count),
    ends: new Float64Array(count),
    files: new Uint32Array(count),
    marks: new Uint8Array(count),
  }
  let at = 0
  for (const [file, { extents }] of files.entries()) {
    const { starts, lengths, marks } = extents
    all.starts.set(starts, at)
    all.marks.set(marks, at)
    all.files.fill(file, at, at + starts.length)
    for (let index = 0; index < starts.length; index++, at++) {
      // Where it begins is all that is known of an encoded extent; its neighbour may begin before its content's length is over.
      const isPoint = unit === 'unseen' && ((marks[index] ?? 0) & mark.encoded) !== 0
      all.ends[at] = (starts[index] ?? 0) + (isPoint ? encodedBytes.atLeast : (lengths[index] ?? 0))
    }
  }
  return all
}
