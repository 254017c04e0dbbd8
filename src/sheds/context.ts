import { readdir } from 'node:fs/promises'
import { type DataLayout, errnoCode, isProblem, type Problem } from '../base/index.ts'
import type { Images } from '../images/index.ts'
import type { Driver, MachineRecord } from '../machines/index.ts'
import { type EventLog, readRecord, writeRecord } from '../state/index.ts'
import type { LiveShed } from './live-shed.ts'
import { type RecordedStatus, ShedRecord, shedNotFound } from './shed-record.ts'
import type { Transitions } from './transitions.ts'

export interface ShedsOptions {
  readonly layout: DataLayout
  readonly images: Images
  readonly driver: Driver
  readonly events: EventLog
  /** Short path for the sockets of running VMs; exists, mode 0700, and is used by this data directory alone. */
  readonly runDirectory: string
  /** How long a guest may take from power on to ready, in milliseconds. */
  readonly bootTimeoutMs: number
}

/** What every verb of this room works on. */
export interface ShedsContext extends ShedsOptions {
  readonly live: Map<string, LiveShed>
  readonly transitions: Transitions
}

/** @throws Problem SHED_NOT_FOUND, RECORD_INVALID */
export async function loadShed(context: ShedsContext, name: string): Promise<ShedRecord> {
  const record = await readRecord(context.layout.shed(name).record, ShedRecord)
  if (record === undefined) throw shedNotFound(name)
  return record
}

/** Records a new status durably, and tells it. @returns the record as it is now */
export async function changeStatus(
  context: ShedsContext,
  record: ShedRecord,
  change: { readonly status: RecordedStatus; readonly reason?: string | undefined },
): Promise<ShedRecord> {
  const { status_reason: _old, ...rest } = record
  const now = new Date().toISOString()
  const changed: ShedRecord = {
    ...rest,
    status: change.status,
    changed_at: now,
    ...(change.status === 'running' ? { started_at: now } : {}),
    ...(change.reason === undefined ? {} : { status_reason: change.reason }),
  }
  await writeRecord(context.layout.shed(record.name).record, changed)
  context.events.append({
    type: `shed.${change.status}`,
    subject: record.name,
    message: change.reason ?? `shed ${record.name} is ${change.status}`,
  })
  return changed
}

/** Names of the directories below sheds/, sorted. */
export async function shedNames(layout: DataLayout): Promise<string[]> {
  try {
    const entries = await readdir(layout.sheds, { withFileTypes: true })
    return entries
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
      .sort()
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return []
    throw error
  }
}

/** Reads every record: what can be read, and the problem of each that cannot. */
export async function loadAllSheds(
  context: Pick<ShedsContext, 'layout'>,
): Promise<{ name: string; record?: ShedRecord; problem?: Problem }[]> {
  const names = await shedNames(context.layout)
  const loaded = await Promise.all(
    names.map(async (name) => {
      try {
        const record = await readRecord(context.layout.shed(name).record, ShedRecord)
        return record === undefined ? { name, problem: shedNotFound(name) } : { name, record }
      } catch (error) {
        if (isProblem(error)) return { name, problem: error }
        throw error
      }
    }),
  )
  return loaded
}

/** Written as soon as a VMM has a pid, so that a daemon that comes after us can find it. */
export async function recordMachine(context: ShedsContext, name: string, machine: MachineRecord): Promise<void> {
  await writeRecord(context.layout.shed(name).machine, machine)
}
