import type { MeasuredFile, Measurement, MeasureRequest, Ownership, OwnersSpace } from './measured-file.ts'
import type { Bytes } from './space.ts'

/*
 * What goes between threads is copied value by value, and of thousands of small objects that takes longer than all the rest of a measurement. So it
 * goes as few arrays of numbers.
 */

/** Lists of numbers, one behind the other. */
interface PackedLists {
  /** Where each begins, and at last where the last one ends. */
  readonly starts: Uint32Array
  readonly values: Uint32Array
}

interface PackedBytes {
  readonly atLeast: Float64Array
  readonly atMost: Float64Array
}

export interface PackedRequest extends Omit<MeasureRequest, 'files' | 'ownerships'> {
  readonly paths: readonly string[]
  /** For each file as many numbers as it has: see `fileNumbers`. */
  readonly numbers: Float64Array
  readonly ownerships: readonly { readonly owners: number; readonly ofFile: PackedLists }[]
}

export interface PackedMeasurement extends Omit<Measurement, 'files' | 'ownerships'> {
  readonly files: PackedBytes
  readonly ownerships: readonly {
    readonly exclusive: PackedBytes
    readonly held: PackedBytes
    readonly marginal: PackedBytes
    readonly closest: PackedLists
  }[]
}

const fileNumbers = 6
const bit = { namedElsewhere: 1, locked: 2 } as const

/** Files of a list that are not as they were, by their places. */
export interface PackedFiles {
  readonly places: Uint32Array
  readonly paths: readonly string[]
  readonly numbers: Float64Array
}

/** @returns undefined when it is not the same list with other values in some places, asked the same of */
export function packRenewed(then: MeasureRequest, now: MeasureRequest): PackedFiles | undefined {
  const isSame =
    then.files.length === now.files.length &&
    then.ownerships === now.ownerships &&
    !then.fresh &&
    !now.fresh &&
    then.explain === now.explain
  if (!isSame) return undefined
  const places = [...now.files.keys()].filter((at) => now.files[at] !== then.files[at])
  const files = places.flatMap((at) => now.files[at] ?? [])
  return { places: new Uint32Array(places), paths: files.map(({ path }) => path), numbers: packNumbers(files) }
}

export function renewFiles(request: MeasureRequest, { places, paths, numbers }: PackedFiles): MeasureRequest {
  const files = [...request.files]
  for (const [index, at] of places.entries()) files[at] = unpackFile(paths[index] ?? '', numbers, index * fileNumbers)
  return { ...request, files }
}

export function packRequest({ files, ownerships, ...rest }: MeasureRequest): PackedRequest {
  return {
    ...rest,
    paths: files.map(({ path }) => path),
    numbers: packNumbers(files),
    ownerships: ownerships.map(({ owners, ofFile }) => ({ owners, ofFile: packLists(ofFile) })),
  }
}

export function unpackRequest({ paths, numbers, ownerships, ...rest }: PackedRequest): MeasureRequest {
  return {
    ...rest,
    files: paths.map((path, at) => unpackFile(path, numbers, at * fileNumbers)),
    ownerships: ownerships.map(({ owners, ofFile }): Ownership => ({ owners, ofFile: unpackLists(ofFile) })),
  }
}

function packNumbers(files: readonly MeasuredFile[]): Float64Array {
  const numbers = new Float64Array(files.length * fileNumbers)
  for (const [at, file] of files.entries()) {
    const bits = (file.namedElsewhere ? bit.namedElsewhere : 0) | (file.locked === true ? bit.locked : 0)
    const { device, inode, logicalBytes, allocatedBytes, changedAt } = file
    const first = at * fileNumbers
    numbers[first] = device
    numbers[first + 1] = inode
    numbers[first + 2] = logicalBytes
    numbers[first + 3] = allocatedBytes
    numbers[first + 4] = changedAt
    numbers[first + 5] = bits
  }
  return numbers
}

function unpackFile(path: string, numbers: Float64Array, at: number): MeasuredFile {
  const bits = numbers[at + 5] ?? 0
  return {
    path,
    device: numbers[at] ?? 0,
    inode: numbers[at + 1] ?? 0,
    logicalBytes: numbers[at + 2] ?? 0,
    allocatedBytes: numbers[at + 3] ?? 0,
    changedAt: numbers[at + 4] ?? 0,
    namedElsewhere: (bits & bit.namedElsewhere) !== 0,
    locked: (bits & bit.locked) !== 0,
  }
}

export function packMeasurement({ files, ownerships, ...rest }: Measurement): PackedMeasurement {
  return {
    ...rest,
    files: packBytes(files),
    ownerships: ownerships.map(({ exclusive, held, marginal, closest }) => ({
      exclusive: packBytes(exclusive),
      held: packBytes(held),
      marginal: packBytes(marginal),
      closest: packLists(closest),
    })),
  }
}

export function unpackMeasurement({ files, ownerships, ...rest }: PackedMeasurement): Measurement {
  return {
    ...rest,
    files: unpackBytes(files),
    ownerships: ownerships.map(
      ({ exclusive, held, marginal, closest }): OwnersSpace => ({
        exclusive: unpackBytes(exclusive),
        held: unpackBytes(held),
        marginal: unpackBytes(marginal),
        closest: unpackLists(closest),
      }),
    ),
  }
}

function packBytes(list: readonly Bytes[]): PackedBytes {
  const atLeast = new Float64Array(list.length)
  const atMost = new Float64Array(list.length)
  for (const [at, bytes] of list.entries()) {
    atLeast[at] = bytes.atLeast
    atMost[at] = bytes.atMost
  }
  return { atLeast, atMost }
}

function unpackBytes({ atLeast, atMost }: PackedBytes): Bytes[] {
  return Array.from(atLeast, (least, at) => ({ atLeast: least, atMost: atMost[at] ?? least }))
}

function packLists(lists: readonly (readonly number[])[]): PackedLists {
  const starts = new Uint32Array(lists.length + 1)
  let end = 0
  for (const [at, list] of lists.entries()) {
    end += list.length
    starts[at + 1] = end
  }
  const values = new Uint32Array(end)
  let place = 0
  for (const list of lists) for (const value of list) values[place++] = value
  return { starts, values }
}

function unpackLists({ starts, values }: PackedLists): number[][] {
  const lists: number[][] = []
  let place = 0
  for (let at = 1; at < starts.length; at++) {
    const list: number[] = []
    while (place < (starts[at] ?? 0)) list.push(values[place++] ?? 0)
    lists.push(list)
  }
  return lists
}
