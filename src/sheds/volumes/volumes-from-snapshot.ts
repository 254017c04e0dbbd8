import { Problem, parseName } from '../../base/index.ts'
import { type CreateShedRequest, type VolumeMount, VolumeMounts } from '../../contract/index.ts'
import type { ShedsContext } from '../context.ts'
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

type Wish = Pick<CreateShedRequest, 'name' | 'volumes' | 'snapshot_volumes' | 'volume_names'>

/**
 * Which volumes a new shed gets: of each that the snapshot's shed wrote to a new one with what was on it, those that it read, and what was asked for. At one
 * path there is what was asked for.
 *
 * @throws Problem INVALID_REQUEST
 */
export function volumesFromSnapshot(
  { layout }: Pick<ShedsContext, 'layout'>,
  wish: Wish,
  snapshot: LoadedSnapshot | undefined,
): VolumesOfNew {
  const { name: shed, volumes: asked, volume_names: names = {}, snapshot_volumes: wanted = true } = wish
  const taken = new Set(asked.map(({ path }) => path))
  const theirs = wanted ? (snapshot?.record.volumes ?? []).filter(({ path }) => !taken.has(path)) : []
  const renamed = theirs.map(({ volume, path, read_only }) => ({
    from: volume,
    mount: { volume: read_only ? volume : newName(shed, volume, names), path, read_only },
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
      from: layout.snapshotVolume(snapshot?.record.name ?? '', from),
    })),
  }
}

function newName(shed: string, volume: string, names: Readonly<Record<string, string>>): string {
  const given = names[volume]
  if (given !== undefined) return given
  try {
    return parseName(`${shed}-${volume}`, 'name for a volume')
  } catch (cause) {
    throw new Problem('INVALID_REQUEST', `${shed}-${volume} is too long a name for the new volume of ${shed}`, {
      hint: `say what it is to be called: --volume-name ${volume}=NAME`,
      cause,
    })
  }
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
