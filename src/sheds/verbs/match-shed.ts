import { isDeepStrictEqual } from 'node:util'
import { Problem } from '../../base/index.ts'
import type { CreateShedRequest, LazyReading, VolumeMount } from '../../contract/index.ts'
import type { ShedRecord } from '../records/shed-record.ts'
import { shedSettings } from './shed-settings.ts'

/** A shed of that name is there: the same one as asked for, or a conflict. @throws Problem SHED_ALREADY_EXISTS saying what differs */
export function matchShed(existing: ShedRecord, request: CreateShedRequest): ShedRecord {
  // Made from a snapshot it has what that had, as far as nobody says: it cannot be asked any more, perhaps.
  const wanted = shedSettings(request, request.from_snapshot === undefined ? undefined : existing)
  const settings = {
    image: [existing.image.ref, request.image ?? (request.from_snapshot && existing.image.ref)],
    snapshot: [existing.snapshot?.name, request.from_snapshot],
    cpus: [existing.cpus, wanted.cpus],
    memory: [existing.memory_bytes, wanted.memory_bytes],
    'upper size': [existing.upper_bytes, wanted.upper_bytes],
    rootfs: [existing.rootfs, wanted.rootfs],
    network: [existing.network, wanted.network],
    'I/O limit': [existing.io ?? {}, wanted.io ?? {}],
    env: [existing.env, wanted.env],
    labels: [existing.labels, wanted.labels],
    volumes: [sorted(existing.volumes), sorted(wantedVolumes(existing, request))],
    secrets: [existing.secrets, request.secrets],
    // Nobody who says nothing of it minds that it was set since.
    'way to read its image': [existing.lazy && readingAsked(existing.lazy, request), existing.lazy && request.lazy],
    'idle setting': [request.thermal && existing.thermal, request.thermal],
  }
  const differing = Object.entries(settings).filter(([, [has, asked]]) => !isDeepStrictEqual(has, asked))
  if (differing.length === 0) return existing
  throw new Problem(
    'SHED_ALREADY_EXISTS',
    `there is a shed ${existing.name} already, with another ${differing.map(([setting]) => setting).join(', ')}`,
    { hint: `choose another name, or remove it first: cowshed delete ${existing.name}` },
  )
}

/** Made from a snapshot it has that one's volumes as well, unless they were not wanted. */
function wantedVolumes(existing: ShedRecord, request: CreateShedRequest): VolumeMount[] {
  if (request.from_snapshot === undefined || request.snapshot_volumes === false) return request.volumes
  const taken = new Set(request.volumes.map(({ path }) => path))
  return [...existing.volumes.filter(({ path }) => !taken.has(path)), ...request.volumes]
}

/** As far as it is asked for. */
function readingAsked(
  { fill, fail_after_ms }: LazyReading,
  { lazy }: CreateShedRequest,
): Partial<LazyReading> | undefined {
  if (lazy === undefined) return undefined
  return {
    ...(lazy.fill === undefined ? {} : { fill }),
    ...(lazy.fail_after_ms === undefined ? {} : { fail_after_ms }),
  }
}

function sorted(mounts: readonly VolumeMount[]): VolumeMount[] {
  return [...mounts].sort((a, b) => (a.path < b.path ? -1 : 1))
}
