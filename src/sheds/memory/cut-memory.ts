import { rm, stat } from 'node:fs/promises'
import { memoryIn } from '../../base/index.ts'
import { copyWithoutSum, copyWithoutZeros, syncFile } from '../../host/index.ts'
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
  let isDone = false
  try {
    await live.pause()
    await withSavable(context, record, live, (savable) => writeParts(context, record, { ...cut, savable, lowers }))
    isDone = true
  } finally {
    // Before it writes again: where no space was left for it, none may be left for the guest.
    if (!isDone) await rm(cut.to, { recursive: true, force: true })
    const isToGoOn = !wasPaused && standsStill(live) && !(isDone && cut.for === 'sleep')
    if (isToGoOn && live.exit === undefined) await live.resume()
  }
  return { pauseMs: Math.ceil(performance.now() - begun) }
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

async function writeParts(context: ShedsContext, record: ShedRecord, parts: PartsToWrite): Promise<void> {
  const { live, to, for: purpose, savable, lowers } = parts
  const paths = memoryIn(to)
  // First: a machine that is saved a second time runs for a moment.
  await savable.saveState(paths.vmSnap)
  if (purpose !== 'sleep') await purpose.copyDisks()
  const disks = await (purpose === 'sleep' ? settleDisks(context, record) : sharedDiskMarks(context, record))
  const goesOn = { identity: savable.identity, agent_key: live.machine.record.agentKey, lowers, disks }
  await makeHole(paths.memSnap, savable.identity.memory_bytes)
  const files = { from: savable.ramPath, to: paths.memSnap }
  if (purpose !== 'sleep' && purpose.onCut !== undefined) {
    const ramReady = copyWithoutSum(files).then(() => undefined)
    purpose.onCut({ record: goesOn, ram: paths.memSnap, state: paths.vmSnap, ramReady })
    await ramReady
    return
  }
  const { sha256, dataBytes } = await copyWithoutZeros(files)
  const [ram, state] = await Promise.all([stat(paths.memSnap), stat(paths.vmSnap)])
  await stageRecord(paths.memoryRecord, {
    version: 1,
    shed: { name: record.name, id: record.id },
    created_at: new Date().toISOString(),
    disk_generation: record.disk_generation,
    ...goesOn,
    ram: { bytes: ram.size, data_bytes: dataBytes, sha256 },
    state: { bytes: state.size, sha256: await sha256Of(paths.vmSnap) },
  } satisfies MemoryRecord)
}

/** A host that crashes must not leave disks that are older than the RAM which goes on with them. */
async function settleDisks(context: ShedsContext, record: ShedRecord): Promise<DiskMark[]> {
  const drives = await attachedDrives(context, record)
  for (const { path, readOnly } of drives) if (!readOnly) await syncFile(path)
  return await diskMarks(drives)
}
