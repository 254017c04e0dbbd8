import { mark } from '../../host/index.ts'
import type { DividedSpace, FileExtents } from './divide-space.ts'
import { randomNames } from './random-names.ts'
import { exactly, type Space, spaceTable } from './space.ts'

/** How often anything refers to what begins at these addresses, ascending. */
export type CountReferences = (addresses: Float64Array) => Float64Array

/** An extent, and what is known of those who refer to it. */
interface SharedExtent {
  readonly length: number
  /** Ascending, each once. */
  readonly files: number[]
  /** Ours; a file may have several. */
  references: number
  isShared: boolean
  /** Two halves of the name of the set of its files. */
  first: number
  second: number
}

/** Divides extents that are freed as a whole: what begins at one address is the same extent, whatever part of it a file refers to. */
export function divideExtents(files: readonly FileExtents[], countReferences: CountReferences): DividedSpace {
  const extents = extentsByAddress(files)
  const addresses = new Float64Array(extents.keys()).sort()
  const counted = countReferences(addresses)
  const table = spaceTable()
  const doubtful = new Set<number>()
  for (const [at, address] of addresses.entries()) {
    const extent = extents.get(address)
    if (extent === undefined) continue
    const others = othersOf(extent, counted[at] ?? 0)
    // It may have gone elsewhere, or to somebody else, since it was looked at.
    if ((counted[at] ?? 0) < extent.references) for (const file of extent.files) doubtful.add(file)
    table.add(`${extent.first},${extent.second}`, others, exactly(extent.length), () => extent.files)
  }
  return { spaces: table.done(), doubtful }
}

function othersOf({ references, isShared }: SharedExtent, counted: number): Space['others'] {
  if (counted < references) return 'unknown'
  if (counted > references) return 'some'
  // Shared all the same: through a snapshot of the subvolume, which no count shows; or among ours, which the mark shows as well.
  if (isShared) return references === 1 ? 'some' : 'unknown'
  return 'none'
}

function extentsByAddress(files: readonly FileExtents[]): Map<number, SharedExtent> {
  const found = new Map<number, SharedExtent>()
  const names = randomNames(files.length)
  for (const [file, { extents }] of files.entries()) {
    const { starts, lengths, marks } = extents
    for (let at = 0; at < starts.length; at++) {
      const extent = found.get(starts[at] ?? 0) ?? nobodys(lengths[at] ?? 0)
      if (extent.references === 0) found.set(starts[at] ?? 0, extent)
      extent.references++
      if (((marks[at] ?? 0) & mark.shared) !== 0) extent.isShared = true
      if (extent.files.at(-1) === file) continue
      extent.files.push(file)
      extent.first ^= names[2 * file] ?? 0
      extent.second ^= names[2 * file + 1] ?? 0
    }
  }
  return found
}

function nobodys(length: number): SharedExtent {
  return { length, files: [], references: 0, isShared: false, first: 0, second: 0 }
}
