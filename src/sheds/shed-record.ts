import { z } from 'zod'
import { Problem } from '../base/index.ts'
import { Environment, Forward, Labels, Network, RootfsKind, type Shed } from '../contract/index.ts'

/**
 * `creating`: the directory is there but the first boot has not succeeded; a daemon that finds it after a crash removes it.
 * `starting`, `stopping`, `deleting`: a transition that a daemon which finds it after a crash rolls back, finishes, finishes.
 */
export const RecordedStatus = z.enum(['creating', 'stopped', 'starting', 'running', 'stopping', 'deleting', 'crashed'])
export type RecordedStatus = z.infer<typeof RecordedStatus>

/** metadata.json of a shed: the truth about it. */
export const ShedRecord = z.object({
  version: z.literal(1),
  name: z.string(),
  id: z.string().regex(/^[0-9a-f]{12}$/),
  /** /etc/machine-id of the guest: 32 hex digits, its own for each shed. */
  machine_id: z.string().regex(/^[0-9a-f]{32}$/),
  status: RecordedStatus,
  status_reason: z.string().optional(),
  image: z.object({ ref: z.string(), manifest_digest: z.string() }),
  cpus: z.int(),
  memory_bytes: z.int(),
  upper_bytes: z.int(),
  rootfs: RootfsKind.default('erofs'),
  network: Network,
  env: Environment,
  labels: Labels,
  /** What the image's config says about running a program in it. */
  defaults: z.object({ env: Environment, cwd: z.string(), user: z.string() }),
  forwards: z.array(Forward),
  created_at: z.iso.datetime(),
  changed_at: z.iso.datetime(),
  started_at: z.iso.datetime().optional(),
})
export type ShedRecord = z.infer<typeof ShedRecord>

/** What of a running VM is shown with its shed. */
export interface MachineView {
  readonly backend: string
  readonly acceleration?: 'kvm' | 'tcg' | undefined
  readonly pid?: number | undefined
}

export function shedOfRecord(record: ShedRecord, machine: MachineView): Shed {
  const { version: _version, machine_id: _machineId, defaults: _defaults, status_reason, started_at, ...shown } = record
  return {
    ...shown,
    backend: machine.backend,
    ...(status_reason === undefined ? {} : { status_reason }),
    ...(started_at === undefined || record.status !== 'running' ? {} : { started_at }),
    ...(machine.acceleration === undefined ? {} : { acceleration: machine.acceleration }),
    ...(machine.pid === undefined ? {} : { pid: machine.pid }),
  }
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
    created_at: epoch,
    changed_at: epoch,
    backend,
    forwards: [],
  }
}

export function shedNotFound(name: string): Problem {
  return new Problem('SHED_NOT_FOUND', `there is no shed ${name}`, { hint: 'list them: cowshed ls' })
}

export function shedNotRunning(name: string): Problem {
  return new Problem('SHED_NOT_RUNNING', `the shed ${name} is not running`, { hint: `start it: cowshed start ${name}` })
}
