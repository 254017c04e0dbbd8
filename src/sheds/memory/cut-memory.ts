import { stat, writeFile } from 'node:fs/promises'
import { memoryIn, Problem } from '../../base/index.ts'
import { copyWithoutZeros, syncFile } from '../../host/index.ts'
import { encodeRecord } from '../../state/index.ts'
import type { ShedsContext } from '../context.ts'
import type { ShedRecord } from '../records/shed-record.ts'
import { attachedDrives, drivesOf } from '../shed-disk.ts'
import type { LiveShed } from '../vm/live-shed.ts'
import { diskMarks } from './disk-marks.ts'
import { lowerMarks } from './lower-marks.ts'
import type { MemoryRecord } from './memory-record.ts'
import { sha256Of } from './stored-memory.ts'

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
 * @throws Problem MACHINE_FAILED, also when its RAM is in no file of its own; NO_SPACE. The shed goes on as it was.
 */
export async function cutMemory(
  context: ShedsContext,
  record: ShedRecord,
  cut: CutMemory,
): Promise<{ readonly pauseMs: number }> {
  const { live } = cut
  const kept = keptOf(live)
  // Before it is made to wait.
  const { drives } = await drivesOf(context, record, {})
  const lowers = await lowerMarks(drives)
  const wasPaused = standsStill(live)
  const begun = performance.now()
  let isDone = false
  try {
    await live.pause()
    const measured = await writeParts(context, record, { ...cut, ramPath: kept.ramPath })
    await writeFile(
      memoryIn(cut.to).memoryRecord,
      encodeRecord({
        version: 1,
        shed: { name: record.name, id: record.id },
        created_at: new Date().toISOString(),
        disk_generation: record.disk_generation,
        agent_key: live.machine.record.agentKey,
        identity: kept.identity,
        lowers,
        ...measured,
      } satisfies MemoryRecord),
      { mode: 0o600 },
    )
    isDone = true
  } finally {
    const isToGoOn = !wasPaused && standsStill(live) && !(isDone && cut.for === 'sleep')
    if (isToGoOn && live.exit === undefined) await live.resume()
  }
  return { pauseMs: Math.ceil(performance.now() - begun) }
}

function standsStill({ isPaused }: LiveShed): boolean {
  return isPaused === true
}

type Parts = Pick<MemoryRecord, 'ram' | 'state' | 'disks'>

async function writeParts(
  context: ShedsContext,
  record: ShedRecord,
  { live, to, for: purpose, ramPath }: CutMemory & { readonly ramPath: string },
): Promise<Parts> {
  const paths = memoryIn(to)
  // First: a machine that is saved a second time runs for a moment.
  await live.saveState(paths.vmSnap)
  const disks = purpose === 'sleep' ? await settleDisks(context, record) : []
  if (purpose !== 'sleep') await purpose.copyDisks()
  await writeFile(paths.memSnap, '', { mode: 0o600 })
  const { sha256, dataBytes } = await copyWithoutZeros({ from: ramPath, to: paths.memSnap })
  const [ram, state] = await Promise.all([stat(paths.memSnap), stat(paths.vmSnap)])
  return {
    disks,
    ram: { bytes: ram.size, data_bytes: dataBytes, sha256 },
    state: { bytes: state.size, sha256: await sha256Of(paths.vmSnap) },
  }
}

/** A host that crashes must not leave disks that are older than the RAM which goes on with them. */
async function settleDisks(context: ShedsContext, record: ShedRecord): Promise<Parts['disks']> {
  const drives = await attachedDrives(context, record)
  for (const { path, readOnly } of drives) if (!readOnly) await syncFile(path)
  return await diskMarks(drives)
}

interface Kept extends Pick<MemoryRecord, 'identity'> {
  readonly ramPath: string
}

function keptOf({ name, machine }: LiveShed): Kept {
  const { memory, identity } = machine.record
  if (memory?.mapping === 'shared' && identity !== undefined) {
    return { ramPath: memory.path, identity: { ...identity, drives: [...identity.drives] } }
  }
  throw new Problem('MACHINE_FAILED', `the RAM of ${name} is in no file of its own, so it cannot be kept`, {
    hint: `it can after its next start: cowshed stop ${name}; cowshed start ${name}`,
  })
}
