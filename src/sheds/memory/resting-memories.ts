import { fileStatus } from '../../host/index.ts'
import type { ShedsContext } from '../context.ts'
import { loadAllSheds } from '../records/load-shed.ts'
import { loadAllSnapshots } from '../snapshots/load-snapshot.ts'
import { type KeptMemory, memoryOfShed, memoryOfSnapshot } from './kept-memory.ts'

/** A memory that nobody has used for a while, and is not compressed. */
export interface RestingMemory extends KeptMemory {
  /** Since when: another time once it was used again. */
  readonly since: string
}

/** What has rested for so long, in milliseconds: of sheds that sleep, and in snapshots. */
export async function restingMemories(context: ShedsContext, afterMs: number): Promise<RestingMemory[]> {
  const resting = [...(await asleep(context, afterMs)), ...(await unused(context, afterMs))]
  const found = await Promise.all(resting.map(({ files }) => fileStatus(files.memSnap)))
  return resting.filter((_, at) => found[at] !== undefined)
}

async function asleep(context: ShedsContext, afterMs: number): Promise<RestingMemory[]> {
  const records = (await loadAllSheds(context)).flatMap(({ record }) => record ?? [])
  return records
    .filter(({ status, changed_at: at }) => status === 'cold' && Date.now() - Date.parse(at) >= afterMs)
    .map(({ name, changed_at: since }) => ({ ...memoryOfShed(context, name), since }))
}

/** Since the snapshot was taken, or its memory was last read or mapped, as far as this daemon has seen: nobody writes that down. */
async function unused(context: ShedsContext, afterMs: number): Promise<RestingMemory[]> {
  const { snapshotUses: uses } = context
  const snapshots = (await loadAllSnapshots(context)).flatMap(({ snapshot }) => snapshot?.record ?? [])
  return snapshots.flatMap(({ name, memory }) => {
    if (memory === undefined) return []
    const kept = memoryOfSnapshot(context, name)
    if (kept.isUsed()) uses.touch(name)
    const idle = uses.idle(name)
    return idle === undefined || idle.ms < afterMs ? [] : { ...kept, since: idle.since }
  })
}
