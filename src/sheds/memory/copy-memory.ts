import { memoryIn } from '../../base/index.ts'
import { cloneFile } from '../../host/index.ts'
import { stageRecord } from '../../state/index.ts'
import type { ShedsContext } from '../context.ts'
import type { ShedRecord } from '../records/shed-record.ts'
import { sharedDiskMarks } from './disk-marks.ts'
import { writeRam } from './inflate-memory.ts'
import type { MemoryRecord } from './memory-record.ts'
import { checkDisks, withWayOut } from './restore-shed.ts'
import { loadMemory, memoryDamaged, readRam, type StoredMemory } from './stored-memory.ts'

export interface CopyMemory {
  /** An empty directory, in staging. */
  readonly to: string
  /** Makes what the copy goes on with. */
  readonly copyDisks: () => Promise<void>
}

/**
 * Copies what is kept of the memory of a shed that sleeps, and has its disks copied, inside its transition. It sleeps on. Nothing is durable yet.
 *
 * @throws Problem MEMORY_DAMAGED when it could not be woken either, NO_SPACE
 */
export async function copyMemory(
  context: ShedsContext,
  record: ShedRecord,
  { to, copyDisks }: CopyMemory,
): Promise<StoredMemory> {
  const memory = await memoryToCopy(context, record).catch((error: unknown) => {
    throw withWayOut(error, record.name)
  })
  await copyDisks()
  const paths = memoryIn(to)
  await cloneFile(memory.state, paths.vmSnap)
  const copied: MemoryRecord = { ...memory.record, disks: await sharedDiskMarks(context, record) }
  await stageRecord(paths.memoryRecord, copied)
  await copyRam(memory, paths.memSnap)
  return { ...memory, record: copied, ram: paths.memSnap, isCompressed: false, state: paths.vmSnap }
}

/** Whoever goes on from a copy maps it, so it is never compressed. */
async function copyRam(memory: StoredMemory, to: string): Promise<void> {
  if (memory.isCompressed) return await writeRam(memory, to)
  await cloneFile(memory.ram, to)
  await readRam({ ...memory, ram: to })
}

async function memoryToCopy(context: ShedsContext, record: ShedRecord): Promise<StoredMemory> {
  const memory = await loadMemory(context.layout.shed(record.name))
  if (memory.record.shed.id !== record.id) throw memoryDamaged('it is that of another shed')
  if (memory.record.disk_generation !== record.disk_generation) throw memoryDamaged('it is older than the disk')
  await checkDisks(context, record, memory.record)
  return memory
}
