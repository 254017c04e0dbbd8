import { Problem, parseName } from '../../base/index.ts'
import { type CreateShedRequest, type VolumeMount, VolumeMounts } from '../../contract/index.ts'
import type { LoadedSnapshot } from '../snapshots/load-snapshot.ts'
import type { NewVolume } from './new-volumes.ts'

export interface VolumesOfNew {
  /** All that the shed is to have, in the order of their drives. */
  readonly mounts: VolumeMount[]
  /** Those of them that are there. */
  readonly found: VolumeMount[]
  /** Those that are made with it. */
  readonly made: readonly NewVolume[]
}

/** Of a snapshot, what matters here. */
interface VolumesThere extends Pick<LoadedSnapshot, 'volumePath'> {
  readonly record: Pick<LoadedSnapshot['record'], 'volumes' | 'shed'>
}

type Wish = Pick<CreateShedRequest, 'name' | 'volumes' | 'snapshot_volumes' | 'volume_names'>

/**
 * Which volumes a new shed gets: of each that the snapshot's shed wrote to a new one with what was on it, those that it read, and what was asked for. At one
 * path there is what was asked for.
 *
 * @throws Problem INVALID_REQUEST
 */
export function volumesFromSnapshot(wish: Wish, snapshot: VolumesThere | undefined): VolumesOfNew {
  const { name: shed, volumes: asked, volume_names: names = {}, snapshot_volumes: wanted = true } = wish
  const taken = new Set(asked.map(({ path }) => path))
  const theirs = wanted ? (snapshot?.record.volumes ?? []).filter(({ path }) => !taken.has(path)) : []
  const renamed = theirs.map(({ volume, path, read_only }) => ({
    from: volume,
    mount: { volume: read_only ? volume : (names[volume] ?? newName(shed, volume, snapshot)), path, read_only },
  }))
  refuseUnknown(names, new Set(theirs.filter(({ read_only }) => !read_only).map(({ volume }) => volume)))
  const mounts = checked(shed, [...renamed.map(({ mount }) => mount), ...asked])
  const fresh = renamed.filter(({ mount }) => !mount.read_only)
  const made = new Set(fresh.map(({ mount }) => mount.volume))
  return {
    mounts,
    found: mounts.filter(({ volume }) => !made.has(volume)),
    made: fresh.map(({ from, mount }) => ({
      name: mount.volume,
      from: snapshot?.volumePath(from) ?? '',
    })),
  }
}

function newName(shed: string, volume: string, snapshot: VolumesThere | undefined): string {
  try {
    return parseName(`${shed}-${ownPart(volume, snapshot)}`, 'name for a volume')
  } catch (cause) {
    throw new Problem('INVALID_REQUEST', `the name of ${shed} is too long for that of its volume ${volume}`, {
      hint: `choose a shorter one; or say what the volume is to be called: --volume-name ${volume}=NAME`,
      cause,
    })
  }
}

/** What was made like this itself is called after its own shed already: a copy of a copy would have all of their names in its. */
function ownPart(volume: string, snapshot: VolumesThere | undefined): string {
  const prefix = `${snapshot?.record.shed.name}-`
  const rest = volume.startsWith(prefix) ? volume.slice(prefix.length) : ''
  const isTaken = snapshot?.record.volumes.some((other) => other.volume === rest) === true
  return rest === '' || isTaken ? volume : rest
}

function refuseUnknown(names: Readonly<Record<string, string>>, known: ReadonlySet<string>): void {
  const unknown = Object.keys(names).find((name) => !known.has(name))
  if (unknown === undefined) return
  const there = known.size === 0 ? 'none' : [...known].join(', ')
  throw new Problem('INVALID_REQUEST', `no new volume is made of ${unknown}`, {
    hint: `new ones are made of what the snapshot's shed wrote to: ${there}`,
  })
}

function checked(shed: string, mounts: VolumeMount[]): VolumeMount[] {
  const parsed = VolumeMounts.safeParse(mounts)
  if (parsed.success) return parsed.data
  const why = parsed.error.issues[0]?.message ?? 'they do not fit together'
  throw new Problem('INVALID_REQUEST', `${shed} cannot have these volumes: ${why}`, {
    hint: 'see which the snapshot has: cowshed snapshot info; leave them out with --no-snapshot-volumes',
  })
}
