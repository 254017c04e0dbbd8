import { rm, stat, writeFile } from 'node:fs/promises'
import { memoryIn, problemFromSystem } from '../../base/index.ts'
import { copyWithoutZeros, syncFile } from '../../host/index.ts'
import { stageRecord } from '../../state/index.ts'
import type { ShedsContext } from '../context.ts'
import type { ShedRecord } from '../records/shed-record.ts'
import { attachedDrives, drivesOf } from '../shed-disk.ts'
import type { LiveShed } from '../vm/live-shed.ts'
import { diskMarks, sharedDiskMarks } from './disk-marks.ts'
import { lowerMarks } from './lower-marks.ts'
import type { MemoryRecord } from './memory-record.ts'
import { sha256Of } from './stored-memory.ts'
import { refuseUnsavable, type Savable, withSavable } from './with-savable.ts'

export interface CutMemory {
  readonly live: LiveShed
  /** An empty directory, in staging. */
  readonly to: string
  /** `sleep`: it stays paused, and the memory goes on with the disks as they are. `copy`: it goes on, and `copyDisks` makes what the memory goes on with. */
  readonly for: 'sleep' | { readonly copyDisks: () => Promise<void> }
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
  cut: CutMemory,
): Promise<{ readonly pauseMs: number }> {
  const { live } = cut
  refuseUnsavable(live)
  // Before it is made to wait.
  const { drives } = await drivesOf(context, record, {})
  const lowers = await lowerMarks(drives)
  const wasPaused = standsStill(live)
  const begun = performance.now()
  let isDone = false
  try {
    await live.pause()
    const parts = await withSavable(context, record, live, (savable) =>
      writeParts(context, record, { ...cut, savable }),
    )
    await stageRecord(memoryIn(cut.to).memoryRecord, {
      version: 1,
      shed: { name: record.name, id: record.id },
      created_at: new Date().toISOString(),
      disk_generation: record.disk_generation,
      agent_key: live.machine.record.agentKey,
      lowers,
      ...parts,
    } satisfies MemoryRecord)
    isDone = true
  } finally {
    // Before it writes again: where no space was left for it, none may be left for the guest.
    if (!isDone) await rm(cut.to, { recursive: true, force: true })
    const isToGoOn = !wasPaused && standsStill(live) && !(isDone && cut.for === 'sleep')
    if (isToGoOn && live.exit === undefined) await live.resume()
  }
  return { pauseMs: Math.ceil(performance.now() - begun) }
}

function standsStill({ isPaused }: LiveShed): boolean {
  return isPaused === true
}

type Parts = Pick<MemoryRecord, 'identity' | 'ram' | 'state' | 'disks'>

async function writeParts(
  context: ShedsContext,
  record: ShedRecord,
  { to, for: purpose, savable }: CutMemory & { readonly savable: Savable },
): Promise<Parts> {
  const paths = memoryIn(to)
  // First: a machine that is saved a second time runs for a moment.
  await savable.saveState(paths.vmSnap)
  if (purpose !== 'sleep') await purpose.copyDisks()
  const disks = await (purpose === 'sleep' ? settleDisks(context, record) : sharedDiskMarks(context, record))
  await makeFile(paths.memSnap)
  const { sha256, dataBytes } = await copyWithoutZeros({ from: savable.ramPath, to: paths.memSnap })
  const [ram, state] = await Promise.all([stat(paths.memSnap), stat(paths.vmSnap)])
  return {
    identity: savable.identity,
    disks,
    ram: { bytes: ram.size, data_bytes: dataBytes, sha256 },
    state: { bytes: state.size, sha256: await sha256Of(paths.vmSnap) },
  }
}

async function makeFile(path: string): Promise<void> {
  try {
    await writeFile(path, '', { mode: 0o600 })
  } catch (error) {
    throw problemFromSystem(error, `make ${path}`)
  }
}

/** A host that crashes must not leave disks that are older than the RAM which goes on with them. */
async function settleDisks(context: ShedsContext, record: ShedRecord): Promise<Parts['disks']> {
  const drives = await attachedDrives(context, record)
  for (const { path, readOnly } of drives) if (!readOnly) await syncFile(path)
  return await diskMarks(drives)
}
