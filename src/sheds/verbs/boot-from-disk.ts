import { changeStatus, nextGeneration, noteStatus, type ShedsContext } from '../context.ts'
import { dropMemory } from '../memory/stored-memory.ts'
import type { ShedRecord } from '../records/shed-record.ts'
import { checkSecrets } from '../secrets/secret-values.ts'
import type { LongWork } from '../sheds.ts'
import { runShed } from '../vm/run-shed.ts'
import { checkMounts } from '../volumes/check-mounts.ts'

/**
 * Boots a settled shed that has no VM from its disk, inside its transition. If anything was kept of its memory, that is of other disks from now on.
 *
 * @param notice what is to be known about it while it runs
 */
export async function bootFromDisk(
  context: ShedsContext,
  record: ShedRecord,
  work: LongWork,
  notice?: string,
): Promise<ShedRecord> {
  using _place = await context.admission.admit(record)
  await checkMounts(context, { shed: record.name, mounts: record.volumes })
  await checkSecrets(context, record.secrets)
  const starting = await changeStatus(context, nextGeneration(record), { status: 'starting' })
  try {
    await dropMemory(context, record.name)
    return await runShed(context, starting, { work, notice })
  } catch (error) {
    await noteStatus(context, starting, { status: 'stopped', reason: `its start failed: ${messageOf(error)}` })
    throw error
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
