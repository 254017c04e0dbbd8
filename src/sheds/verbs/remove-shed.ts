import { mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoCode, newId, Problem, problemFromSystem } from '../../base/index.ts'
import { isLocked, syncDirectory } from '../../host/index.ts'
import { noteStatus, type ShedsContext } from '../context.ts'
import { type ShedRecord, writesToVolumes } from '../records/shed-record.ts'
import { endVm } from '../vm/end-vm.ts'
import { dropNewVolumes } from '../volumes/new-volumes.ts'
import { stopShed, volumeStopMs } from './stop-shed.ts'

export interface RemoveShed {
  readonly name: string
  /** Settled; undefined for a shed whose record cannot be used. */
  readonly record: ShedRecord | undefined
  /** Also when it runs, stands still or sleeps. */
  readonly force: boolean
}

/** Removes a shed, inside its transition. Needs no space on the disk. @see Sheds.remove */
export async function removeShed(context: ShedsContext, { name, record, force }: RemoveShed): Promise<void> {
  if (record?.status === 'cold' && !force) throw notStopped(name, record.status)
  if (await hasVm(context, name)) {
    if (!force) throw notStopped(name, record?.status ?? 'running')
    // What it wrote to volumes outlives it. Nobody will read its own disk again: without volumes the guest is not asked to shut down.
    if (record !== undefined && writesToVolumes(record)) await stopShed(context, record, volumeStopMs)
    // A daemon that finds it without its VM must not take it for one that crashed.
    if (record !== undefined) await noteStatus(context, record, { status: 'deleting' })
  }
  await endVm(context, name)
  await deleteShed(context, name)
}

async function hasVm({ live, layout }: ShedsContext, name: string): Promise<boolean> {
  const held = live.get(name)
  return held === undefined ? await isLocked(layout.shed(name).vmmLock) : held.exit === undefined
}

/** Removes a shed that did not come to be, and whose VM is dead, with the volumes that were made for it. */
export async function dropCreated(context: ShedsContext, record: ShedRecord): Promise<void> {
  // Without the shed they would be nobody's until a daemon starts.
  await dropNewVolumes(context, record)
  await deleteShed(context, record.name)
}

/** Removes the directory of a shed whose VM is dead: one rename makes it vanish, then its bytes are freed. */
export async function deleteShed({ layout, events, ports }: ShedsContext, name: string): Promise<void> {
  ports.closeAll(name)
  // Right into staging, not into a directory of its own there: on a full disk one more directory could not be made.
  const leaving = join(layout.staging, `delete-${name}-${newId()}`)
  try {
    await mkdir(layout.staging, { recursive: true, mode: 0o700 })
    await rename(layout.shed(name).dir, leaving)
    await syncDirectory(layout.sheds)
  } catch (error) {
    if (errnoCode(error) !== 'ENOENT') throw problemFromSystem(error, `remove the shed ${name}`)
  }
  events.append({ type: 'shed.deleted', subject: name, message: `shed ${name} is deleted` })
  try {
    await rm(leaving, { recursive: true, force: true })
  } catch (error) {
    throw problemFromSystem(error, `free the disk of ${name}, which is gone but for ${leaving}`)
  }
}

function notStopped(name: string, status: string): Problem {
  return new Problem('SHED_NOT_STOPPED', `the shed ${name} is ${status}`, {
    hint: `stop it first: cowshed stop ${name}; or remove it as it is: cowshed delete --force ${name}`,
  })
}
