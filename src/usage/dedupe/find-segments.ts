import { type FileMap, mark } from '../../host/index.ts'

/**
 * The parts of the disk that files have, each once, cut wherever one file's part begins or ends: all of a segment has the same references. In the order
 * of their first references: by file, then by place in it. What is at the same place in each array belongs together.
 */
export interface Segments {
  readonly count: number
  /** Bytes: whole blocks, and where in its extent, or else on the disk. */
  readonly length: Float64Array
  readonly offset: Float64Array
  /** What it is freed with, as a number from 0; where single blocks are freed, -1. */
  readonly extent: Int32Array
  /** References of segment s: from firstReference[s] to before firstReference[s + 1]. */
  readonly firstReference: Uint32Array
  readonly file: Uint32Array
  readonly logical: Float64Array
  /** Of its first reference: see FileMap. */
  readonly generation: Float64Array
  /** The filesystem says that others refer to it, and we know of none: somebody does whom we do not know. */
  readonly strange: Uint8Array
}

/** Parts of all files, as they come: columns that belong together. */
export interface Parts {
  readonly file: Uint32Array
  readonly logical: Float64Array
  readonly length: Float64Array
  readonly extent: Int32Array
  readonly offset: Float64Array
  readonly generation: Float64Array
  readonly shared: Uint8Array
}

/** Extents that are freed as a whole: their numbers are their places here. */
export interface WholeExtents {
  readonly address: Float64Array
  readonly diskBytes: Float64Array
}

export function findSegments(parts: Parts, block: number): Segments {
  const usable = inBlocks(parts, block)
  const cut = cutParts(usable)
  return inOrderOfFiles(cut, usable)
}

/** Only whole blocks can be shared. */
function inBlocks(parts: Parts, block: number): Parts {
  const keep = [...parts.file.keys()].filter(
    (at) => (parts.logical[at] ?? 0) % block === 0 && (parts.offset[at] ?? 0) % block === 0 && wholeLength(at) > 0,
  )
  function wholeLength(at: number): number {
    const length = parts.length[at] ?? 0
    return length - (length % block)
  }
  return {
    file: Uint32Array.from(keep, (at) => parts.file[at] ?? 0),
    logical: Float64Array.from(keep, (at) => parts.logical[at] ?? 0),
    length: Float64Array.from(keep, wholeLength),
    extent: Int32Array.from(keep, (at) => parts.extent[at] ?? 0),
    offset: Float64Array.from(keep, (at) => parts.offset[at] ?? 0),
    generation: Float64Array.from(keep, (at) => parts.generation[at] ?? 0),
    shared: Uint8Array.from(keep, (at) => parts.shared[at] ?? 0),
  }
}

interface Cut {
  /** Where each segment begins in its extent, and its length. */
  readonly start: number[]
  readonly length: number[]
  /** Parts that have it, one list after the other. */
  readonly first: number[]
  readonly part: number[]
}

/** One sweep over the parts in the order of extents and offsets. */
function cutParts({ extent, offset, length }: Parts): Cut {
  const order = new Uint32Array(extent.length).map((_, at) => at)
  order.sort((a, b) => (extent[a] ?? 0) - (extent[b] ?? 0) || (offset[a] ?? 0) - (offset[b] ?? 0))
  const cut: Cut = { start: [], length: [], first: [], part: [] }
  const endOf = (part: number) => (offset[part] ?? 0) + (length[part] ?? 0)
  let active: number[] = []
  let [here, place] = [0, -2]
  /** All that is covered up to there. */
  const advance = (to: number) => {
    while (active.length > 0 && here < to) {
      const next = Math.min(to, ...active.map(endOf))
      cut.start.push(here)
      cut.length.push(next - here)
      cut.first.push(cut.part.length)
      for (const part of active) cut.part.push(part)
      here = next
      active = active.filter((part) => endOf(part) > here)
    }
  }
  for (const part of order) {
    const [of, at] = [extent[part] ?? 0, offset[part] ?? 0]
    advance(of === place ? at : Number.POSITIVE_INFINITY)
    place = of
    here = at
    active.push(part)
  }
  advance(Number.POSITIVE_INFINITY)
  return cut
}

function inOrderOfFiles(cut: Cut, parts: Parts): Segments {
  const count = cut.start.length
  const total = cut.part.length
  const [file, logical, generation] = [new Uint32Array(total), new Float64Array(total), new Float64Array(count)]
  const bound = (segment: number) => cut.first[segment] ?? total
  for (let segment = 0; segment < count; segment++) {
    const references = cut.part.slice(bound(segment), bound(segment + 1)).map((part) => ({
      part,
      file: parts.file[part] ?? 0,
      logical: (parts.logical[part] ?? 0) + (cut.start[segment] ?? 0) - (parts.offset[part] ?? 0),
    }))
    references.sort((a, b) => a.file - b.file || a.logical - b.logical)
    generation[segment] = parts.generation[references[0]?.part ?? 0] ?? 0
    for (const [at, reference] of references.entries()) {
      file[bound(segment) + at] = reference.file
      logical[bound(segment) + at] = reference.logical
    }
  }
  const order = new Uint32Array(count).map((_, segment) => segment)
  order.sort((a, b) => {
    const [x, y] = [bound(a), bound(b)]
    return (file[x] ?? 0) - (file[y] ?? 0) || (logical[x] ?? 0) - (logical[y] ?? 0)
  })
  return reordered({ cut, parts, file, logical, generation }, order)
}

interface Unordered {
  readonly cut: Cut
  readonly parts: Parts
  readonly file: Uint32Array
  readonly logical: Float64Array
  readonly generation: Float64Array
}

function reordered({ cut, parts, file, logical, generation }: Unordered, order: Uint32Array): Segments {
  const total = cut.part.length
  const segments = {
    count: order.length,
    length: new Float64Array(order.length),
    offset: new Float64Array(order.length),
    extent: new Int32Array(order.length),
    firstReference: new Uint32Array(order.length + 1),
    file: new Uint32Array(total),
    logical: new Float64Array(total),
    generation: new Float64Array(order.length),
    strange: new Uint8Array(order.length),
  }
  let next = 0
  for (const [at, segment] of order.entries()) {
    const [from, to] = [cut.first[segment] ?? 0, cut.first[segment + 1] ?? total]
    const part = cut.part[from] ?? 0
    segments.length[at] = cut.length[segment] ?? 0
    segments.offset[at] = cut.start[segment] ?? 0
    segments.extent[at] = parts.extent[part] ?? 0
    segments.generation[at] = generation[segment] ?? 0
    segments.strange[at] = to - from === 1 ? (parts.shared[part] ?? 0) & mark.shared : 0
    segments.firstReference[at] = next
    segments.file.set(file.subarray(from, to), next)
    segments.logical.set(logical.subarray(from, to), next)
    next += to - from
  }
  segments.firstReference[order.length] = next
  return segments
}

/** Maps of files, by number, as parts, with whole extents numbered. */
export function partsOf(maps: readonly (FileMap | undefined)[]): { parts: Parts; extents: WholeExtents } {
  const count = maps.reduce((sum, map) => sum + (map?.logical.length ?? 0), 0)
  const parts = {
    file: new Uint32Array(count),
    logical: new Float64Array(count),
    length: new Float64Array(count),
    extent: new Int32Array(count),
    offset: new Float64Array(count),
    generation: new Float64Array(count),
    shared: new Uint8Array(count),
  }
  const numbers = new Map<number, number>()
  const diskBytes: number[] = []
  let at = 0
  for (const [number, map] of maps.entries()) {
    if (map === undefined) continue
    parts.file.fill(number, at, at + map.logical.length)
    parts.logical.set(map.logical, at)
    parts.length.set(map.length, at)
    parts.offset.set(map.offset, at)
    parts.generation.set(map.generation, at)
    parts.shared.set(map.marks, at)
    for (const [index, address] of map.extent.entries()) {
      if (address !== 0 && !numbers.has(address)) {
        numbers.set(address, diskBytes.length)
        diskBytes.push(map.diskBytes[index] ?? 0)
      }
      parts.extent[at + index] = address === 0 ? -1 : (numbers.get(address) ?? 0)
    }
    at += map.logical.length
  }
  return { parts, extents: { address: Float64Array.from(numbers.keys()), diskBytes: Float64Array.from(diskBytes) } }
}
