import { parseDigest } from '../../base/index.ts'
import { changeStatus, type ShedsContext } from '../context.ts'
import { attachmentOf } from '../lazy-lowers.ts'
import type { ShedRecord } from '../records/shed-record.ts'
import type { LongWork } from '../sheds.ts'
import { bootShed } from './boot-shed.ts'
import { endVm } from './end-vm.ts'

export interface RunShed {
  readonly work: LongWork
  /** What is to be known about this run. */
  readonly notice?: string | undefined
}

/**
 * Boots a shed and records that it runs. When either fails no VM is left: one that the record does not tell of would be nobody's. Until the VM has
 * its lower open nothing but our hold keeps it from being evicted.
 */
export async function runShed(
  context: ShedsContext,
  record: ShedRecord,
  { work, notice }: RunShed,
): Promise<ShedRecord> {
  using _hold = context.images.hold(parseDigest(record.image.manifest_digest))
  await bootShed(context, record, work).catch(async (error: unknown) => {
    // A guest says only that it cannot read. What cannot be found out now is not in place of why it failed.
    throw (record.lazy && (await context.lazyLowers.wrong(attachmentOf(record.lazy)).catch(() => undefined))) ?? error
  })
  try {
    return await changeStatus(context, record, { status: 'running', reason: notice })
  } catch (error) {
    await endVm(context, record.name)
    throw error
  }
}
