import { problemFromSystem } from '../../base/index.ts'
import type { Accuracy } from '../../host/index.ts'
import type { ExtentCache } from './extent-cache.ts'
import { isStillSo, measurePlace, openPlaces, type PlaceEvidence } from './measure-place.ts'
import type { Measurement, MeasureRequest, OwnersSpace } from './measured-file.ts'
import { closest, exclusive, held, marginal, sharedWith, union } from './questions.ts'
import { regroup } from './regroup.ts'
import type { Space } from './space.ts'

export interface Measured {
  readonly measurement: Measurement
  readonly evidence: readonly (PlaceEvidence | undefined)[]
}

/**
 * Measures files, and answers for their owners. Reads what is not in the cache; blocks its thread while it does.
 *
 * @throws Problem PERMISSION_DENIED, IO_FAILED
 */
export function measure({ files, fresh, ownerships, explain }: MeasureRequest, cache: ExtentCache): Measured {
  const lost = cache.retain(fresh ? [] : files)
  try {
    using opened = openPlaces(files)
    const found = opened.places.map((place) => measurePlace(place, cache, lost))
    const spaces = found.flatMap((place) => place.spaces)
    const seen = ownerships.map((ownership) => regroup(spaces, (file) => ownership.ofFile[file] ?? []))
    const [first] = seen
    const measurement = {
      accuracy: leastOf(found.map(({ accuracy }) => accuracy)),
      union: union(spaces),
      files: exclusive(spaces, files.length),
      ownerships: seen.map((own, at) => ownersSpace(own, ownerships[at]?.owners ?? 0)),
      reservedBytes: found.reduce((sum, place) => sum + place.reservedBytes, 0),
      overlooks: found.some((place) => place.overlooks),
      ...(explain === undefined || first === undefined ? {} : { explained: sharedWith(first, explain) }),
    }
    return { measurement, evidence: found.map((place) => place.evidence) }
  } catch (error) {
    throw problemFromSystem(error, 'find out where on the disk files are')
  }
}

/** Whether the same files have what they had, and others what they had of it: then a measurement is true still. @throws Problem PERMISSION_DENIED, IO_FAILED */
export function holds({ files }: MeasureRequest, { evidence }: Measured, cache: ExtentCache): boolean {
  try {
    using opened = openPlaces(files)
    return opened.places.every((place, at) => isStillSo(place, evidence[at], cache))
  } catch (error) {
    throw problemFromSystem(error, 'find out where on the disk files are')
  }
}

/** How many of those with whom an owner shares most are named. */
const company = 4

function ownersSpace(spaces: readonly Space[], owners: number): OwnersSpace {
  return {
    exclusive: exclusive(spaces, owners),
    held: held(spaces, owners),
    marginal: marginal(spaces, owners),
    closest: closest(spaces, owners, company),
  }
}

const rising: readonly Accuracy[] = ['estimate', 'bounds', 'block', 'exact']

function leastOf(accuracies: readonly Accuracy[]): Accuracy {
  return rising.find((accuracy) => accuracies.includes(accuracy)) ?? 'exact'
}
