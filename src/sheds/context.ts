import { type DataLayout, isProblem } from '../base/index.ts'
import type { LazyReading } from '../contract/index.ts'
import type { Images } from '../images/index.ts'
import type { Driver, MachineRecord } from '../machines/index.ts'
import { type EventLog, type PinSet, type Pins, type Secrets, writeRecord } from '../state/index.ts'
import type { Admission } from './admission/admission.ts'
import type { HostLimits } from './admission/host-limits.ts'
import type { Ports } from './forwards/ports.ts'
import type { LazyLowers } from './lazy-lowers.ts'
import type { RamFiles } from './memory/ram-files.ts'
import type { KnownRecords } from './records/load-shed.ts'
import type { RecordedStatus, ShedRecord } from './records/shed-record.ts'
import type { IdleDefaults } from './thermal/thermal-settings.ts'
import type { Uses } from './thermal/uses.ts'
import type { Transitions } from './transitions.ts'
import type { LiveShed } from './vm/live-shed.ts'

export interface ShedsOptions {
  readonly layout: DataLayout
  readonly images: Images
  readonly driver: Driver
  readonly lazyLowers: LazyLowers
  /** What becomes of an image that is not here, unless a request says: of the one that a reference names. */
  readonly pullPolicy: (ref: string) => 'whole' | 'lazy'
  /** How an image is read in part, where a request does not say. */
  readonly lazyReading: LazyReading
  readonly events: EventLog
  readonly pins: Pins
  readonly secrets: Secrets
  /** Short path for the sockets of running VMs; exists, mode 0700, and is used by this data directory alone. */
  readonly runDirectory: string
  /** How long a guest may take from power on to ready, in milliseconds. */
  readonly bootTimeoutMs: number
  /** Whether a shed that has shut down gives back what its filesystem has free. */
  readonly trimOnStop: boolean
  readonly limits: HostLimits
  readonly idle: IdleDefaults
  /** How long a shed has slept when its memory is compressed, in milliseconds; never when left out. */
  readonly compressAfterMs?: number | undefined
  /** Where the RAM of running VMs may be: a directory of this data directory alone, made when it is needed, on a tmpfs if there is one. */
  readonly ramDirectory: string
}

/** What every verb of this room works on. */
export interface ShedsContext extends ShedsOptions {
  /** The VMs that this daemon holds on to; one that has died stays until its shed's record says so. */
  readonly live: Map<string, LiveShed>
  readonly transitions: Transitions
  /** One change at a time of a volume, and of who has it. Whoever holds a shed as well has taken that first. */
  readonly volumeTurns: Transitions
  readonly uses: Uses
  /** One change at a time of what a snapshot has, and of who begins to use its memory. */
  readonly snapshotTurns: Transitions
  /** Who uses the memory of which snapshot, and since when nobody does. */
  readonly snapshotUses: Uses
  /** Sheds that are being woken because somebody wants to use them, by name. */
  readonly wakes: Map<string, Promise<void>>
  /** Whoever starts a VM takes a place here before anything else is changed. */
  readonly admission: Admission
  readonly ram: RamFiles
  readonly ports: Ports
  /** For lists of all sheds, which are asked for again and again. */
  readonly known: KnownRecords
  /** Told when a VM has ended that nobody told to. */
  readonly noteExit: (name: string) => void
}

/** Runs a verb on a shed that exists and is at rest, alone. */
export type Alone = <T>(name: string, verb: (record: ShedRecord) => Promise<T>) => Promise<T>

export interface StatusChange {
  readonly status: RecordedStatus
  readonly reason?: string | undefined
}

/** Records a new status durably, and tells it. @returns the record as it is now @throws Problem NO_SPACE, IO_FAILED: it is then as it was */
export async function changeStatus(
  context: ShedsContext,
  record: ShedRecord,
  change: StatusChange,
): Promise<ShedRecord> {
  const changed = withStatus(record, change)
  await writeRecord(context.layout.shed(record.name).record, changed)
  await statusChanged(context, changed)
  return changed
}

/**
 * Records what has happened to a VM already. A full disk is no reason to fail then: what a record says of a VM counts only as long as there is
 * one (see observed-record.ts), and stopping and deleting sheds is what gets space back.
 *
 * @returns the record as it should be, and whether it is
 */
export async function noteStatus(
  context: ShedsContext,
  record: ShedRecord,
  change: StatusChange,
): Promise<{ readonly record: ShedRecord; readonly written: boolean }> {
  try {
    return { record: await changeStatus(context, record, change), written: true }
  } catch (error) {
    if (!isProblem(error, 'NO_SPACE')) throw error
    const changed = withStatus(record, change)
    await statusChanged(context, changed)
    return { record: changed, written: false }
  }
}

export function withStatus(record: ShedRecord, { status, reason }: StatusChange): ShedRecord {
  const { status_reason: _old, ...rest } = record
  const now = new Date().toISOString()
  return {
    ...rest,
    status,
    changed_at: now,
    ...(status === 'running' ? { started_at: now } : {}),
    ...(reason === undefined ? {} : { status_reason: reason }),
  }
}

/** Of a record that is to be written before a VM may write to the shed's disks: RAM that was kept until now belongs to what they were. */
export function nextGeneration(record: ShedRecord): ShedRecord {
  return { ...record, disk_generation: record.disk_generation + 1 }
}

async function statusChanged({ events, ports }: ShedsContext, record: ShedRecord): Promise<void> {
  const { name, status, status_reason: reason } = record
  events.append({ type: `shed.${status}`, subject: name, message: reason ?? `shed ${name} is ${status}` })
  await ports.follow(record)
}

/** Listing does not fail for pins that cannot be read; removing does. */
export async function knownPins({ pins }: ShedsContext): Promise<PinSet> {
  return await pins.read().catch((error: unknown) => {
    if (!isProblem(error)) throw error
    return { has: () => false }
  })
}

/** Written as soon as a VMM has a pid, so that a daemon that comes after us can find it. */
export async function recordMachine(context: ShedsContext, name: string, machine: MachineRecord): Promise<void> {
  await writeRecord(context.layout.shed(name).machine, machine)
}
