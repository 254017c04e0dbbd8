import { parseDigest } from '../../base/index.ts'
import { changeStatus, nextGeneration, noteStatus, type ShedsContext } from '../context.ts'
import { attachmentOf } from '../lazy-lowers.ts'
import { dropMemory } from '../memory/stored-memory.ts'
import type { ShedRecord } from '../records/shed-record.ts'
import { checkGiven } from '../secrets/secret-values.ts'
import type { LongWork } from '../sheds.ts'
import { runShed } from '../vm/run-shed.ts'
import { checkMounts } from '../volumes/check-mounts.ts'
import { withKeptLower } from '../with-kept-lower.ts'

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
  await checkGiven(context, record)
  const { secrets_in_memory: _forgotten, ...booted } = await withWholeLower(context, record, work)
  const starting = await changeStatus(context, nextGeneration(booted), { status: 'starting' })
  try {
    await dropMemory(context, record.name)
    return await runShed(context, starting, { work, notice })
  } catch (error) {
    context.lazyLowers.release(record.name)
    await noteStatus(context, starting, { status: 'stopped', reason: `its start failed: ${messageOf(error)}` })
    throw error
  }
}

/** A shed whose image was brought since reads it as any other does, from its next start on, whatever form it has. */
async function withWholeLower(context: ShedsContext, record: ShedRecord, work: LongWork): Promise<ShedRecord> {
  const { lazy, ...others } = await withKeptLower(context, record, work)
  if (lazy === undefined) return others
  const manifest = parseDigest(record.image.manifest_digest)
  return (await context.images.isHereWhole(manifest, attachmentOf(lazy))) ? others : { ...others, lazy }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
