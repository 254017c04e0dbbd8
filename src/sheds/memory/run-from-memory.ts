import { randomBytes } from 'node:crypto'
import { isProblem, Problem, parseDigest } from '../../base/index.ts'
import { changeStatus, type ShedsContext } from '../context.ts'
import type { ShedRecord } from '../records/shed-record.ts'
import { writeSecretFiles } from '../secrets/write-secret-files.ts'
import type { LongWork } from '../sheds.ts'
import { endVm } from '../vm/end-vm.ts'
import type { LiveShed } from '../vm/live-shed.ts'
import { restoreShed } from './restore-shed.ts'
import type { CutMemory } from './stored-memory.ts'
import { withColdBoot } from './with-cold-boot.ts'

export interface RunFromMemory {
  /** Of another shed; the disks of this one are copies of that one's. Its RAM is right, and stays as it is for as long as anybody goes on from it. */
  readonly memory: CutMemory
  /** Called when its VM has all of that open, and before it goes on. */
  readonly check: () => Promise<void>
  readonly work: LongWork
}

/**
 * Has a shed that was just made go on from the memory of another, inside its transition, and records that it runs once it is somebody else: with its own name, its
 * own machine-id and keys, its own random numbers, and the time of now. When anything fails no VM is left.
 *
 * @throws Problem MEMORY_DAMAGED, STATE_MISMATCH, MACHINE_FAILED, BOOT_FAILED; what `check` throws
 */
export async function runFromMemory(
  context: ShedsContext,
  record: ShedRecord,
  { memory, check, work }: RunFromMemory,
): Promise<ShedRecord> {
  // Until its VM has its lower open nothing but our hold keeps it from being evicted.
  using _hold = context.images.hold(parseDigest(record.image.manifest_digest))
  work.onProgress?.({ phase: 'wake', item: record.name, done: 0 })
  const live = await restoreShed(context, record, memory, { work }).catch((error: unknown) => {
    throw withColdBoot(error)
  })
  try {
    await check()
    await live.resume()
    await becomeItself(context, record, live)
    return await changeStatus(context, record, { status: 'running' })
  } catch (error) {
    await endVm(context, record.name)
    throw error
  }
}

/** How long a guest may take to answer at all is as long as a boot may take: the host may be as busy. */
async function becomeItself(context: ShedsContext, record: ShedRecord, live: LiveShed): Promise<void> {
  const options = { timeoutMs: context.bootTimeoutMs }
  const identity = { hostname: record.name, machineId: record.machine_id, entropy: randomBytes(64) }
  try {
    const agent = await live.agent(options.timeoutMs)
    // Entropy comes with it, and is taken before anything is made anew.
    await agent.setIdentity(identity, options)
    await agent.setClock(BigInt(Date.now()) * 1_000_000n, options)
    await writeSecretFiles(context, record, agent)
  } catch (error) {
    if (isProblem(error, 'BOOT_FAILED')) throw error
    const why = error instanceof Error ? error.message : String(error)
    throw new Problem('BOOT_FAILED', `the guest of ${record.name} did not become another: ${why}`, {
      hint: 'its disk alone can be booted: add --cold-boot',
      cause: error,
    })
  }
}
