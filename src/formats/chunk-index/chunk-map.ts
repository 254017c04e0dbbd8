import { Problem } from '../../base/index.ts'
import { type ChunkIndex, type StoredPart, sum } from './chunk-index.ts'

/** A chunk: where it is in the lower, and where its frame is in which blob. */
export interface LocatedChunk {
  /** The number of the part. */
  readonly part: number
  /** Bytes into the lower. */
  readonly offset: number
  readonly length: number
  /** Bytes into the part's blob. */
  readonly storedOffset: number
  readonly storedLength: number
}

/** Finds chunks by their place in the lower; time logarithmic in the number of chunks. */
export interface ChunkMap {
  readonly lowerBytes: number
  /** Every chunk that holds a byte of a range, in order. @throws Problem INTERNAL for a range outside of the lower */
  locate(offset: number, length: number): LocatedChunk[]
}

/** Works out where each chunk begins: 16 bytes of memory a chunk. */
export function chunkMap({ parts }: ChunkIndex): ChunkMap {
  const tables = tablesOf(parts)
  const lowerBytes = tables.at(-1)?.end ?? 0
  return {
    lowerBytes,
    locate: (offset, length) => {
      if (offset < 0 || length < 0 || offset + length > lowerBytes) {
        throw new Problem('INTERNAL', `bytes ${offset}+${length} are not in a lower of ${lowerBytes}`)
      }
      return tables.flatMap((table, part) => locateIn(table, { part, from: offset, to: offset + length }))
    },
  }
}

interface Table extends StoredPart {
  /** Where the part begins and ends in the lower. */
  readonly begin: number
  readonly end: number
  /** Where each chunk begins in the lower, and its frame in the blob. */
  readonly offsets: Float64Array
  readonly storedOffsets: Float64Array
}

function tablesOf(parts: readonly StoredPart[]): Table[] {
  let begin = 0
  return parts.map((part) => {
    const end = begin + sum(part.lengths)
    const table = {
      ...part,
      begin,
      end,
      offsets: starts(part.lengths, begin),
      storedOffsets: starts(part.storedLengths, 0),
    }
    begin = end
    return table
  })
}

function starts(lengths: Uint32Array, from: number): Float64Array {
  let at = from
  return Float64Array.from(lengths, (length) => {
    at += length
    return at - length
  })
}

interface Wanted {
  readonly part: number
  readonly from: number
  readonly to: number
}

function locateIn({ begin, end, offsets, lengths, storedOffsets, storedLengths }: Table, { part, from, to }: Wanted) {
  const found: LocatedChunk[] = []
  if (from >= to || to <= begin || from >= end) return found
  for (let at = lastNotAfter(offsets, from); at < offsets.length; at++) {
    const offset = offsets[at] ?? end
    if (offset >= to) break
    found.push({
      part,
      offset,
      length: lengths[at] ?? 0,
      storedOffset: storedOffsets[at] ?? 0,
      storedLength: storedLengths[at] ?? 0,
    })
  }
  return found
}

/** The last position whose value is not larger than `value`; 0 when all are. */
function lastNotAfter(values: Float64Array, value: number): number {
  let [low, high] = [0, values.length]
  while (high - low > 1) {
    const middle = (low + high) >>> 1
    if ((values[middle] ?? 0) <= value) low = middle
    else high = middle
  }
  return low
}
