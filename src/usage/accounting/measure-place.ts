import { dirname } from 'node:path'
import { type Accuracy, type ExtentSource, measureSpace, openExtentSource } from '../../host/index.ts'
import { divideSpace, type FileExtents, type FreeingUnit } from './divide-space.ts'
import type { ExtentCache } from './extent-cache.ts'
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
}

/** Files that are written to while they are looked at are looked at again, so often. */
const looks = 3

/** @param lost whether files that were there the last time are gone @throws a system error */
export function measurePlace(place: Place, cache: ExtentCache, lost: boolean): MeasuredPlace {
  const [source] = place.sources
  let mustSettle = lost || place.files.some(({ file }) => cache.get(file) === undefined)
  for (let look = 1; ; look++) {
    if (mustSettle) source?.settle()
    const { files, fresh, reservedBytes } = readPlace(place, cache)
    const { spaces, doubtful } = divideSpace({ files, unit: unitOf(source), references: source?.references })
    const stale = place.files.filter((_, at) => doubtful.has(at) && !fresh.has(at))
    if (stale.length === 0 || look === looks) {
      return { spaces: renumber(spaces, place), accuracy: source?.accuracy ?? 'exact', reservedBytes }
    }
    for (const { file } of stale) cache.forget(file)
    mustSettle = true
  }
}

function readPlace(place: Place, cache: ExtentCache) {
  const fresh = new Set<number>()
  let reservedBytes = 0
  const files = place.files.map(({ file, source }, at): FileExtents => {
    const cached = cache.get(file)
    if (cached === undefined) fresh.add(at)
    const extents = cached ?? cache.read(file, source)
    reservedBytes += source.reservedBytes?.(file, extents) ?? 0
    return { extents, namedElsewhere: file.namedElsewhere }
  })
  return { files, fresh, reservedBytes }
}

function unitOf(source: ExtentSource | undefined): FreeingUnit {
  if (source?.references !== undefined) return 'extent'
  return source?.accuracy === 'bounds' ? 'unseen' : 'block'
}

/** From places in the list of one filesystem to those in the list of all files. */
function renumber(spaces: readonly Space[], { files }: Place): Space[] {
  return spaces.map((space) => ({ ...space, owners: space.owners.map((at) => files[at]?.number ?? 0) }))
}
