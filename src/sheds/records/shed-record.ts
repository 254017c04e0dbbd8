import { z } from 'zod'
import { Problem } from '../../base/index.ts'
import {
  Environment,
  Forward,
  IoLimits,
  Labels,
  type LazyProgress,
  Network,
  OwnThermalSettings,
  RootfsKind,
  SecretUse,
  type Shed,
  ShedFailure,
  type ShedStatus,
  VolumeMount,
} from '../../contract/index.ts'
import { RecordedLazy } from '../lazy-lowers.ts'
import { type IdleDefaults, thermalSettings } from '../thermal/thermal-settings.ts'

/**
 * `creating`: the directory is there but the first boot has not succeeded; a daemon that finds it after a crash removes it.
 * `starting`, `stopping`, `deleting`: a transition that a daemon which finds it after a crash rolls back, finishes, finishes. `sleeping`: it is rolled back if
 * its VM is there, else finished if its memory is; `waking` is rolled back: until the record says `running` its VM has not run. `failed` is for good: its VM is ended.
 */
export const RecordedStatus = z.enum([
  'creating',
  'stopped',
  'starting',
  'running',
  'paused',
  'sleeping',
  'cold',
  'waking',
  'stopping',
  'deleting',
  'crashed',
  'failed',
])
export type RecordedStatus = z.infer<typeof RecordedStatus>

/** Whether a shed is at rest with nothing but its disk: it has no VM, and no memory to go on from. */
export function isDown({ status }: { readonly status: ShedStatus }): boolean {
  return status === 'stopped' || status === 'crashed' || status === 'failed'
}

/** metadata.json of a shed: the truth about it. */
export const ShedRecord = z.object({
  version: z.literal(1),
  name: z.string(),
  id: z.string().regex(/^[0-9a-f]{12}$/),
  /** /etc/machine-id of the guest: 32 hex digits, its own for each shed. */
  machine_id: z.string().regex(/^[0-9a-f]{32}$/),
  status: RecordedStatus,
  status_reason: z.string().optional(),
  failure: ShedFailure.optional(),
  image: z.object({ ref: z.string(), manifest_digest: z.string() }),
  /** Of one whose lower is fetched as it is read. */
  lazy: RecordedLazy.optional(),
  /** What it was made from, if it was. */
  snapshot: z.object({ name: z.string(), id: z.string() }).optional(),
  /** The shed that it is a fork of, if it is. */
  forked_from: z.object({ name: z.string(), id: z.string() }).optional(),
  cpus: z.int(),
  memory_bytes: z.int(),
  upper_bytes: z.int(),
  rootfs: RootfsKind.default('erofs'),
  network: Network,
  /** Absent in what had none when it was made. */
  io: IoLimits.optional(),
  env: Environment,
  labels: Labels,
  /** In the order of their drives. */
  volumes: z.array(VolumeMount).default([]),
  /** What this shed alone is given: a copy of it is given nothing that nobody asked for. */
  secrets: z.array(SecretUse).default([]),
  /** Secrets that may be in its memory though it is given them no more: it had them when it ran, or goes on from the memory of one that had. Gone with its next boot. */
  secrets_in_memory: z.array(z.string()).optional(),
  /** What becomes of it when nobody uses it, where config.toml is not to say. */
  thermal: OwnThermalSettings.optional(),
  /** What the image's config says about running a program in it. */
  defaults: z.object({ env: Environment, cwd: z.string(), user: z.string() }),
  forwards: z.array(Forward),
  /** Counts the times that a VM may have begun to write to its disks: RAM that was kept belongs to one of them. */
  disk_generation: z.int().default(0),
  created_at: z.iso.datetime(),
  changed_at: z.iso.datetime(),
  started_at: z.iso.datetime().optional(),
})
export type ShedRecord = z.infer<typeof ShedRecord>

/** What is shown with a shed that its record does not say. */
export interface MachineView {
  readonly backend: string
  readonly acceleration?: 'kvm' | 'tcg' | undefined
  readonly pid?: number | undefined
  readonly isProtected?: boolean
  /** ISO 8601 */
  readonly idleSince?: string | undefined
  readonly memoryOnDisk?: number | undefined
  /** Of a lower that is not all here. */
  readonly progress?: LazyProgress | undefined
}

export function shedOfRecord(record: ShedRecord, machine: MachineView, idle: IdleDefaults): Shed {
  const {
    version: _version,
    machine_id: _machineId,
    defaults: _defaults,
    disk_generation: _generation,
    status_reason,
    started_at,
    lazy,
    ...shown
  } = record
  return {
    ...shown,
    thermal: thermalSettings(record, idle),
    backend: machine.backend,
    ...(lazy === undefined ? {} : { lazy: lazyOf(lazy, machine) }),
    ...(machine.idleSince === undefined ? {} : { idle_since: machine.idleSince }),
    ...(status_reason === undefined ? {} : { status_reason }),
    ...(started_at === undefined || record.status !== 'running' ? {} : { started_at }),
    ...(machine.acceleration === undefined ? {} : { acceleration: machine.acceleration }),
    ...(machine.pid === undefined ? {} : { pid: machine.pid }),
    ...(machine.memoryOnDisk === undefined ? {} : { memory_on_disk_bytes: machine.memoryOnDisk }),
    ...(machine.isProtected === true ? { protected: true as const } : {}),
  }
}

function lazyOf({ chunk_index_digest, profile, unverified }: RecordedLazy, { progress }: MachineView): Shed['lazy'] {
  return { chunk_index_digest, profile, ...(unverified && { unverified }), ...(progress && { progress }) }
}

/** How a shed whose record cannot be read is listed: its name and what is wrong with it; nothing else is known. */
export function brokenShed(name: string, problem: Problem, backend: string): Shed {
  const epoch = new Date(0).toISOString()
  return {
    name,
    id: '',
    status: 'broken',
    status_reason: problem.message,
    image: { ref: '', manifest_digest: '' },
    cpus: 0,
    memory_bytes: 0,
    upper_bytes: 0,
    rootfs: 'erofs',
    network: 'none',
    env: {},
    labels: {},
    volumes: [],
    secrets: [],
    thermal: thermalSettings({}, {}),
    created_at: epoch,
    changed_at: epoch,
    backend,
    forwards: [],
  }
}

/** Whether what it writes may outlive it: then it is not to be killed before that is on the disk. */
export function writesToVolumes({ volumes }: Pick<ShedRecord, 'volumes'>): boolean {
  return volumes.some(({ read_only }) => !read_only)
}

export function shedNotFound(name: string): Problem {
  return new Problem('SHED_NOT_FOUND', `there is no shed ${name}`, { hint: 'list them: cowshed ls' })
}

export function shedNotRunning(name: string): Problem {
  return new Problem('SHED_NOT_RUNNING', `the shed ${name} is not running`, { hint: `start it: cowshed start ${name}` })
}

export function shedSleeps(name: string): Problem {
  return new Problem('SHED_NOT_RUNNING', `the shed ${name} sleeps`, { hint: `wake it first: cowshed wake ${name}` })
}

/** Its guest answers nobody. */
export function shedIsPaused(name: string): Problem {
  return new Problem('SHED_NOT_RUNNING', `the shed ${name} is paused`, { hint: `wake it: cowshed wake ${name}` })
}

/** What is on the disks of a shed that sleeps is half of it: the other half is in its memory, which goes on with these disks and no others. */
export function refuseCold({ name, status }: ShedRecord, what: string): void {
  if (status !== 'cold') return
  throw new Problem(
    'SHED_NOT_STOPPED',
    `cannot ${what}: it sleeps, and its memory goes on with its disks as they are`,
    {
      hint: `wake it first: cowshed wake ${name}; or stop it: cowshed stop ${name}`,
    },
  )
}

/** What is kept of a shed may outlive its registry, and that it was ever verified. */
export function refuseLazy({ name, lazy }: ShedRecord, what: string): void {
  if (lazy === undefined) return
  if (lazy.unverified === true) {
    const why = 'nothing of its image is verified before all of it is here'
    throw new Problem('IMAGE_INCOMPLETE', `cannot ${what}: ${why}`, {
      hint: `it is fetched while ${name} runs; see how far it is: cowshed inspect ${name}`,
    })
  }
  throw new Problem('IMAGE_INCOMPLETE', `cannot ${what}: its image is not all here, and is fetched as it is read`, {
    hint: `bring all of it, while ${name} goes on: cowshed image pull ${lazy.reference}`,
  })
}
