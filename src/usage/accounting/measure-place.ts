import { dirname } from 'node:path'
import { type Accuracy, type ExtentSource, type Extents, measureSpace, openExtentSource } from '../../host/index.ts'
import { divideSpace, type FileExtents, type FreeingUnit } from './divide-space.ts'
import { type ExtentCache, noExtents } from './extent-cache.ts'
import type { MeasuredFile } from './measured-file.ts'
import type { Space } from './space.ts'

/** The files of one filesystem. */
export interface Place {
  readonly files: PlacedFile[]
  /** One for each subvolume of a btrfs; they answer for each other where it is about the filesystem. */
  readonly sources: ExtentSource[]
}

interface PlacedFile {
  readonly file: MeasuredFile
  /** Its place in the list that was asked about. */
  readonly number: number
  readonly source: ExtentSource
}

export interface OpenPlaces extends Disposable {
  readonly places: readonly Place[]
}

/** Finds out which filesystems files are on, and opens a source for each. @throws a system error */
export function openPlaces(files: readonly MeasuredFile[]): OpenPlaces {
  const places = new Map<string, Place>()
  const close = () => {
    for (const { sources } of places.values()) for (const source of sources) source[Symbol.dispose]()
  }
  try {
    const devices = new Map<number, { place: Place; source: ExtentSource }>()
    for (const [number, file] of files.entries()) {
      const known = devices.get(file.device) ?? openDevice(places, file)
      devices.set(file.device, known)
      known.place.files.push({ file, number, source: known.source })
    }
    return { places: [...places.values()], [Symbol.dispose]: close }
  } catch (error) {
    close()
    throw error
  }
}

function openDevice(places: Map<string, Place>, { path }: MeasuredFile) {
  const directory = dirname(path)
  const { id } = measureSpace(directory)
  const place = places.get(id) ?? { files: [], sources: [] }
  places.set(id, place)
  const source = openExtentSource(directory)
  place.sources.push(source)
  return { place, source }
}

export interface MeasuredPlace {
  readonly spaces: readonly Space[]
  readonly accuracy: Accuracy
  readonly reservedBytes: number
  /** See ExtentSource. */
  readonly overlooks: boolean
  /** None when something of it is in doubt. */
  readonly evidence: PlaceEvidence | undefined
}

/** What the filesystem answered: a measurement is the same as long as its answers are. */
export interface PlaceEvidence {
  readonly extents: readonly Extents[]
  readonly addresses: Float64Array
  readonly counted: Float64Array
  readonly outside: readonly FileExtents[]
}

/** Whether a place is as it was, and all of it is known. @throws a system error */
export function isStillSo(place: Place, then: PlaceEvidence | undefined, cache: ExtentCache): boolean {
  if (then === undefined || !place.files.every(({ file }, at) => cache.get(file) === then.extents[at])) return false
  const counted = place.sources[0]?.references?.(then.addresses) ?? then.counted
  return areSame(counted, then.counted) && haveSame(outsidersOf(place, then.extents), then.outside)
}

function haveSame(some: readonly FileExtents[], others: readonly FileExtents[]): boolean {
  const extentsOf = (files: readonly FileExtents[]) => files.map(({ extents }) => extents)
  const [left, right] = [extentsOf(some), extentsOf(others)]
  return (
    left.length === right.length &&
    left.every(({ starts, lengths, marks }, at) => {
      const other = right[at] ?? noExtents
      return areSame(starts, other.starts) && areSame(lengths, other.lengths) && areSame(marks, other.marks)
    })
  )
}

function areSame(some: Numbers, others: Numbers): boolean {
  if (some.length !== others.length) return false
  for (let at = 0; at < some.length; at++) if (some[at] !== others[at]) return false
  return true
}

type Numbers = Float64Array | Uint8Array

const noAddresses = new Float64Array()

/** Files that are written to while they are looked at are looked at again, so often. */
const looks = 3

/** @param lost whether files that were there the last time are gone @throws a system error */
export function measurePlace(place: Place, cache: ExtentCache, lost: boolean): MeasuredPlace {
  const [source] = place.sources
  let mustSettle = lost
  for (let look = 1; ; look++) {
    const known = place.files.map(({ file }) => cache.get(file))
    mustSettle ||= known.includes(undefined)
    if (mustSettle) source?.settle()
    const { files, fresh, reservedBytes } = readPlace(place, known, cache)
    const extents = files.map((file) => file.extents)
    const outside = outsidersOf(place, extents)
    // Some of them may only be those that have just been deleted.
    if (outside.length > 0 && !mustSettle) {
      mustSettle = true
      continue
    }
    const asked = { addresses: noAddresses, counted: noAddresses }
    const references =
      source?.references &&
      ((addresses: Float64Array) => {
        const counted = source.references?.(addresses) ?? noAddresses
        Object.assign(asked, { addresses, counted })
        return counted
      })
    const { spaces, doubtful } = divideSpace({ files: [...files, ...outside], unit: unitOf(source), references })
    const stale = place.files.filter((_, at) => doubtful.has(at) && !fresh.has(at))
    if (stale.length === 0 || look >= looks) {
      const { accuracy = 'exact', overlooks = false } = source ?? {}
      const evidence = doubtful.size === 0 ? { extents, ...asked, outside } : undefined
      return { spaces: renumber(spaces, place), accuracy, reservedBytes, overlooks, evidence }
    }
    for (const { file } of stale) cache.forget(file)
    mustSettle = true
  }
}

function readPlace(place: Place, known: readonly (Extents | undefined)[], cache: ExtentCache) {
  const fresh = new Map<number, Extents>()
  for (const source of place.sources) {
    const missing = [...place.files.keys()].filter(
      (at) => known[at] === undefined && place.files[at]?.source === source,
    )
    const read = cache.read(
      missing.flatMap((at) => place.files[at]?.file ?? []),
      source,
    )
    for (const [at, extents] of read.entries()) fresh.set(missing[at] ?? -1, extents)
  }
  let reservedBytes = 0
  const files = place.files.map(({ file, source }, at): FileExtents => {
    const extents = known[at] ?? fresh.get(at) ?? noExtents
    reservedBytes += source.reservedBytes?.(file, extents) ?? 0
    return { extents, namedElsewhere: file.namedElsewhere }
  })
  return { files, fresh, reservedBytes }
}

/** What anybody else has of what ours share, as one file more, which stays; none where there is nothing of the kind, or nobody tells. */
function outsidersOf({ files: placed, sources: [source] }: Place, extents: readonly Extents[]): FileExtents[] {
  if (source?.outsiders === undefined) return []
  const outside = source.outsiders(extents, new Set(placed.map(({ file }) => file.inode)))
  return outside.starts.length === 0 ? [] : [{ extents: outside, namedElsewhere: true }]
}

function unitOf(source: ExtentSource | undefined): FreeingUnit {
  if (source?.references !== undefined) return 'extent'
  return source?.accuracy === 'bounds' ? 'unseen' : 'block'
}

/** From places in the list of one filesystem to those in the list of all files, which has nobody else in it. */
function renumber(spaces: readonly Space[], { files }: Place): Space[] {
  return spaces.flatMap((space) => {
    const owners = space.owners.flatMap((at) => files[at]?.number ?? [])
    return owners.length === 0 ? [] : [{ ...space, owners }]
  })
}
