import { rm, stat } from 'node:fs/promises'
import { memoryIn } from '../../base/index.ts'
import { copyWithoutSum, copyWithoutZeros, syncFile, type WithoutZeros } from '../../host/index.ts'
import { stageRecord } from '../../state/index.ts'
import type { ShedsContext } from '../context.ts'
import type { ShedRecord } from '../records/shed-record.ts'
import { attachedDrives, drivesOf } from '../shed-disk.ts'
import type { LiveShed } from '../vm/live-shed.ts'
import { withKeptLower } from '../with-kept-lower.ts'
import { diskMarks, sharedDiskMarks } from './disk-marks.ts'
import { lowerMarks } from './lower-marks.ts'
import { makeHole } from './make-hole.ts'
import type { DiskMark, LowerMark, MemoryRecord } from './memory-record.ts'
import { type CutMemory, sha256Of } from './stored-memory.ts'
import { refuseUnsavable, type Savable, withSavable } from './with-savable.ts'

export interface MemoryToCut {
  readonly live: LiveShed
  /** An empty directory, in staging. */
  readonly to: string
  /** `sleep`: it stays paused, and the memory goes on with the disks as they are. Else it goes on. */
  readonly for: 'sleep' | CopyToCut
}

export interface CopyToCut {
  /** Makes what the memory goes on with. */
  readonly copyDisks: () => Promise<void>
  /** Whoever goes on from this at once, and keeps it for nobody, hears when all but RAM is there. RAM has no checksum then, and there is no record. */
  readonly onCut?: ((memory: CutMemory) => void) | undefined
}

/**
 * Writes the RAM of a shed and the state of its devices, and has its disks copied, all of one paused instant. The shed runs or is paused; its caller is
 * in its transition. Nothing is durable yet but, for a sleep, its disks.
 *
 * @returns how long its vCPUs stood still, in milliseconds
 * @throws Problem MACHINE_FAILED, also when its RAM is in no file of its own; NO_SPACE. The shed goes on as it was, and there is no `to`.
 */
export async function cutMemory(
  context: ShedsContext,
  record: ShedRecord,
  cut: MemoryToCut,
): Promise<{ readonly pauseMs: number }> {
  const { live } = cut
  refuseUnsavable(live)
  // Before it is made to wait.
  const lowers = await marksOf(context, record, cut)
  const wasPaused = standsStill(live)
  const begun = performance.now()
  let finish: Finish | undefined
  try {
    await live.pause()
    finish = await withSavable(context, record, live, (savable) =>
      writeParts(context, record, { ...cut, savable, lowers }),
    )
  } finally {
    // Before it writes again: where no space was left for it, none may be left for the guest.
    if (finish === undefined) await removeParts(cut)
    const isToGoOn = !wasPaused && standsStill(live) && !(finish !== undefined && cut.for === 'sleep')
    if (isToGoOn && live.exit === undefined) await live.resume()
  }
  const pauseMs = Math.ceil(performance.now() - begun)
  try {
    await finish()
  } catch (error) {
    await removeParts(cut)
    throw error
  }
  return { pauseMs }
}

/** What needs no guest that stands still. */
type Finish = () => Promise<void>

async function removeParts({ to }: MemoryToCut): Promise<void> {
  await rm(to, { recursive: true, force: true })
}

/** A copy lies over the whole lower, when there is one by now, however its shed reads it. */
async function marksOf(context: ShedsContext, record: ShedRecord, cut: MemoryToCut): Promise<LowerMark[]> {
  const over = cut.for === 'sleep' ? record : await withKeptLower(context, record, {})
  const { drives } = await drivesOf(context, over, {})
  return await lowerMarks(over, drives)
}

function standsStill({ isPaused }: LiveShed): boolean {
  return isPaused === true
}

type PartsToWrite = MemoryToCut & Pick<MemoryRecord, 'lowers'> & { readonly savable: Savable }

async function writeParts(context: ShedsContext, record: ShedRecord, parts: PartsToWrite): Promise<Finish> {
  const { live, to, for: purpose, savable, lowers } = parts
  const paths = memoryIn(to)
  // First: a machine that is saved a second time runs for a moment.
  await savable.saveState(paths.vmSnap)
  if (purpose !== 'sleep') await purpose.copyDisks()
  const disks = await (purpose === 'sleep' ? settleDisks(context, record) : sharedDiskMarks(context, record))
  const goesOn = { identity: savable.identity, agent_key: live.machine.record.agentKey, lowers, disks }
  await makeHole(paths.memSnap, savable.identity.memory_bytes)
  const files = { from: savable.ramPath, to: paths.memSnap }
  if (purpose === 'sleep') {
    await stageMemoryRecord(record, to, { goesOn, ram: await copyWithoutZeros(files) })
    return nothing
  }
  if (purpose.onCut !== undefined) {
    const ramReady = copyWithoutSum(files).then(() => undefined)
    purpose.onCut({ record: goesOn, ram: paths.memSnap, state: paths.vmSnap, ramReady })
    await ramReady
    return nothing
  }
  // To hash takes longer than to copy, and nobody is to stand still for it: docs/decisions/0180-ram-is-hashed-when-its-shed-goes-on.md.
  await copyWithoutSum(files)
  return async () =>
    await stageMemoryRecord(record, to, { goesOn, ram: await copyWithoutZeros({ from: paths.memSnap }) })
}

const nothing: Finish = async () => undefined

interface Written {
  readonly goesOn: CutMemory['record']
  readonly ram: WithoutZeros
}

async function stageMemoryRecord(
  { name, id, disk_generation }: ShedRecord,
  to: string,
  { goesOn, ram: { sha256, dataBytes } }: Written,
): Promise<void> {
  const { memSnap, vmSnap, memoryRecord } = memoryIn(to)
  const [ram, state] = await Promise.all([stat(memSnap), stat(vmSnap)])
  await stageRecord(memoryRecord, {
    version: 1,
    shed: { name, id },
    created_at: new Date().toISOString(),
    disk_generation,
    ...goesOn,
    ram: { bytes: ram.size, data_bytes: dataBytes, sha256 },
    state: { bytes: state.size, sha256: await sha256Of(vmSnap) },
  } satisfies MemoryRecord)
}

/** A host that crashes must not leave disks that are older than the RAM which goes on with them. */
async function settleDisks(context: ShedsContext, record: ShedRecord): Promise<DiskMark[]> {
  const drives = await attachedDrives(context, record)
  for (const { path, readOnly } of drives) if (!readOnly) await syncFile(path)
  return await diskMarks(drives)
}
