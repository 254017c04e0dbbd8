import { installDirectory, openStaging } from '../../host/index.ts'
import { changeStatus, noteStatus, type ShedsContext } from '../context.ts'
import { cutMemory } from '../memory/cut-memory.ts'
import { dropMemory } from '../memory/stored-memory.ts'
import { type ShedRecord, shedNotRunning } from '../records/shed-record.ts'
import { endVm } from '../vm/end-vm.ts'
import type { LiveShed } from '../vm/live-shed.ts'
import { whileItLives } from '../vm/while-it-lives.ts'
import { writeBack } from '../vm/write-back.ts'

/**
 * Keeps all that is in the memory of a settled shed on the disk, and ends its VM, inside its transition. Until all of it is there, and durable, the VM
 * lives: whatever fails, and wherever this is cut off, the shed runs on or sleeps. @see Sheds.stop
 *
 * @param reason why, when nobody asked for it
 * @throws Problem SHED_NOT_RUNNING, MACHINE_FAILED, NO_SPACE; the shed is then as it was
 */
export async function sleepShed(context: ShedsContext, record: ShedRecord, reason?: string): Promise<ShedRecord> {
  if (record.status === 'cold') return record
  const live = context.live.get(record.name)
  if (live === undefined) throw shedNotRunning(record.name)
  return await whileItLives(context, live, () => putToSleep(context, { record, live, reason }))
}

interface PutToSleep {
  readonly record: ShedRecord
  readonly live: LiveShed
  readonly reason: string | undefined
}

async function putToSleep(context: ShedsContext, { record, live, reason }: PutToSleep): Promise<ShedRecord> {
  await writeBack(live)
  const wasPaused = live.isPaused === true
  const sleeping = await changeStatus(context, record, { status: 'sleeping' })
  try {
    await keepMemory(context, sleeping, live)
  } catch (error) {
    await goOn(context, { record: sleeping, live, wasPaused })
    throw error
  }
  live.isKept = true
  await endVm(context, record.name)
  return (await noteStatus(context, sleeping, { status: 'cold', reason })).record
}

async function keepMemory(context: ShedsContext, record: ShedRecord, live: LiveShed): Promise<void> {
  const { layout } = context
  await dropMemory(context, record.name)
  await using staging = await openStaging(layout, `sleep-${record.name}`)
  await cutMemory(context, record, { live, to: staging.path, for: 'sleep' })
  await installDirectory({ from: staging.path, to: layout.shed(record.name).memory })
}

interface GoOn {
  readonly record: ShedRecord
  readonly live: LiveShed
  readonly wasPaused: boolean
}

/** What cannot be undone now is by whoever settles the shed next: its record says `sleeping` then. */
async function goOn(context: ShedsContext, { record, live, wasPaused }: GoOn): Promise<void> {
  try {
    if (live.exit !== undefined) return
    // Before it writes anything.
    await dropMemory(context, record.name)
    if (!wasPaused && live.isPaused === true) await live.resume()
    await noteStatus(context, record, { status: wasPaused ? 'paused' : 'running' })
  } catch (error) {
    context.events.append({ type: 'shed.unsettled', subject: record.name, message: String(error) })
  }
}
