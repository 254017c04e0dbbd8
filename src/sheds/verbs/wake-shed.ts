import { type Problem, parseDigest, printable } from '../../base/index.ts'
import { changeStatus, nextGeneration, noteStatus, type ShedsContext } from '../context.ts'
import { restoreShed, withWayOut } from '../memory/restore-shed.ts'
import { dropMemory, loadMemory, memoryDamaged, readRam, type StoredMemory } from '../memory/stored-memory.ts'
import { refuseFailed } from '../records/refuse-failed.ts'
import { type ShedRecord, shedNotRunning } from '../records/shed-record.ts'
import type { LongWork } from '../sheds.ts'
import { endVm } from '../vm/end-vm.ts'
import type { LiveShed } from '../vm/live-shed.ts'
import { setGuestClock } from '../vm/set-guest-clock.ts'
import { withKeptLower } from '../with-kept-lower.ts'
import { bootFromDisk } from './boot-from-disk.ts'

/** Has a settled shed go on where it was, inside its transition. @see Sheds.wake */
export async function wakeShed(context: ShedsContext, record: ShedRecord, work: LongWork): Promise<ShedRecord> {
  refuseFailed(context, record)
  if (record.status === 'running') return record
  if (record.status === 'cold') return await wakeCold(context, record, work)
  const live = context.live.get(record.name)
  if (live === undefined) throw shedNotRunning(record.name)
  // Before it runs: a record that says too much is put right by the next transition, a VM that runs while it should not is seen by nobody.
  const running = await changeStatus(context, record, { status: 'running' })
  await goOn(context, live)
  return running
}

/**
 * Starts a VM that goes on from what was kept. Until the record says that it runs, which says too that its disks are not those of the memory any more, it has
 * not run: whatever fails and wherever this is cut off, the shed sleeps as it did.
 */
async function wakeCold(context: ShedsContext, record: ShedRecord, work: LongWork): Promise<ShedRecord> {
  const { name } = record
  const memory = await loadMemory(context.layout.shed(name)).catch((error: unknown) => {
    throw withWayOut(error, name)
  })
  if (memory.record.shed.id !== record.id) throw withWayOut(foreign(memory), name)
  if (memory.record.disk_generation !== record.disk_generation) {
    return await bootFromDisk(
      context,
      record,
      work,
      'booted from its disk: what was kept of its memory was older than that',
    )
  }
  using _place = await context.admission.admit(record)
  work.onProgress?.({ phase: 'wake', item: name, done: 0 })
  const waking = await changeStatus(context, record, { status: 'waking' })
  const { running, live } = await restore(context, waking, { memory, work }).catch(async (error: unknown) => {
    await noteStatus(context, waking, { status: 'cold' })
    throw withWayOut(error, name)
  })
  // What it went on from is of an earlier generation now: nobody goes on from it, whether it is there or not.
  const dropped = dropMemory(context, name).catch((error: unknown) => {
    context.events.append({ type: 'shed.memory_left', subject: name, message: String(error) })
  })
  try {
    await goOn(context, live)
    return running
  } finally {
    await dropped
  }
}

interface Waking {
  readonly memory: StoredMemory
  readonly work: LongWork
}

async function restore(
  context: ShedsContext,
  record: ShedRecord,
  { memory, work }: Waking,
): Promise<{ readonly running: ShedRecord; readonly live: LiveShed }> {
  // Until its VM has its lower open nothing but our hold keeps it from being evicted.
  using _hold = context.images.hold(parseDigest(record.image.manifest_digest))
  // It is the same drive to the guest, wherever its bytes come from.
  const whole = await withKeptLower(context, record, work)
  const live = await restoreShed(context, whole, memory, { fillRam: (path) => readRam(memory, path), work })
  try {
    return { live, running: await changeStatus(context, nextGeneration(whole), { status: 'running' }) }
  } catch (error) {
    await endVm(context, record.name)
    throw error
  }
}

function foreign({ record }: StoredMemory): Problem {
  return memoryDamaged(`it is that of another shed, ${printable(record.shed.name)}`)
}

async function goOn(context: ShedsContext, live: LiveShed): Promise<void> {
  // Who has woken it may not use it at once.
  context.uses.touch(live.name)
  await live.resume()
  await setGuestClock(context, live)
}
