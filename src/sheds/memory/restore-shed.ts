import { isDeepStrictEqual } from 'node:util'
import { isProblem, Problem } from '../../base/index.ts'
import { type DriveSpec, type KernelFiles, kernelOf, type Machine } from '../../machines/index.ts'
import { recordMachine, type ShedsContext } from '../context.ts'
import type { ShedRecord } from '../records/shed-record.ts'
import { attachedDrives, isVolumeDrive } from '../shed-disk.ts'
import type { LongWork } from '../sheds.ts'
import { forgetVm } from '../vm/end-vm.ts'
import { LiveShed } from '../vm/live-shed.ts'
import { machineSpec } from '../vm/machine-spec.ts'
import { watchMachine } from '../vm/watch-machine.ts'
import { diskMarks } from './disk-marks.ts'
import { areLowers } from './lower-marks.ts'
import type { MemoryRecord } from './memory-record.ts'
import { type CutMemory, memoryDamaged } from './stored-memory.ts'

export interface RestoreShed {
  /**
   * Fills a file of its own with the RAM: it can be kept again. Left out, its RAM begins with the file itself, which must stay as it is while it runs.
   *
   * @param path a file that is all a hole
   */
  readonly fillRam?: ((path: string) => Promise<void>) | undefined
  readonly work: LongWork
}

/**
 * Starts the VM of a shed so that it goes on from a memory, inside its transition: it is paused there, and whoever resumes it has recorded before that
 * it runs. What the memory does not belong to is refused before a guest runs. The memory stays as it is.
 *
 * @throws Problem MEMORY_DAMAGED, STATE_MISMATCH, MACHINE_FAILED, NO_SPACE; no VM is left then, and none has run
 */
export async function restoreShed(
  context: ShedsContext,
  record: ShedRecord,
  memory: CutMemory,
  { fillRam, work }: RestoreShed,
): Promise<LiveShed> {
  const { identity, agent_key: agentKey, lowers } = memory.record
  await checkDisks(context, record, memory.record)
  const spec = await machineSpec(context, record, {
    work,
    agentKey,
    kernel: await kernelThen(context, identity.kernel),
  })
  if (!(await areLowers(context, record, { drives: spec.drives, marks: lowers }))) throw otherLower(record)
  let ramReady: Promise<void> | undefined
  let machine: Machine | undefined
  try {
    const path = fillRam === undefined ? memory.ram : await context.ram.place(record)
    // While the VMM starts, which does not look at it before it has the state.
    ramReady = fillRam === undefined ? memory.ramReady : fillRam(path)
    ramReady?.catch(() => undefined)
    machine = await context.driver.start(
      {
        ...spec,
        memory: { path, mapping: fillRam === undefined ? 'private' : 'shared' },
        restore: { state: memory.state, belongsTo: overDrives(identity, spec.drives), ramReady },
      },
      (found) => recordMachine(context, record.name, found),
    )
  } catch (error) {
    await machine?.kill()
    // Nobody writes there any more when it is removed.
    await ramReady?.catch(() => undefined)
    await forgetVm(context, record.name)
    throw error
  }
  const live = LiveShed.paused(record.name, machine)
  watchMachine(context, live)
  return live
}

/** @throws Problem STATE_MISMATCH when it is gone, or damaged: no other kernel can go on where it was */
async function kernelThen({ layout }: ShedsContext, id: string): Promise<KernelFiles> {
  return await kernelOf(layout, id).catch((cause: unknown) => {
    if (!isProblem(cause)) throw cause
    throw new Problem('STATE_MISMATCH', `the kernel that it was booted with cannot be had: ${cause.message}`, { cause })
  })
}

/**
 * Whether the disks are there that a memory goes on with: all of a shed that sleeps, and of a copy those that it has no copies of.
 *
 * @throws Problem MEMORY_DAMAGED for one whose disks have been written to since, or are others
 */
export async function checkDisks(
  context: Pick<ShedsContext, 'layout'>,
  record: ShedRecord,
  { disks }: Pick<MemoryRecord, 'disks'>,
): Promise<void> {
  if (disks.length === 0) return
  const now = new Map((await diskMarks(await attachedDrives(context, record))).map((mark) => [mark.id, mark]))
  if (disks.some(({ id }) => !now.has(id))) throw memoryDamaged('the shed has other disks now')
  const other = disks.find((disk) => !isDeepStrictEqual(disk, now.get(disk.id)))
  if (other !== undefined) throw memoryDamaged(`the disk ${other.id} has been written to since, or is another one`)
}

/** A copy has volumes of its own in the place of the others: the state knows where they are, and not what they are called. */
function overDrives(identity: MemoryRecord['identity'], drives: readonly DriveSpec[]): MemoryRecord['identity'] {
  const named = identity.drives.map((drive, at) => {
    const id = drives[at]?.id
    return id !== undefined && isVolumeDrive(drive.id) && isVolumeDrive(id) ? { ...drive, id } : drive
  })
  return { ...identity, drives: named }
}

function otherLower({ image }: ShedRecord): Problem {
  return new Problem('STATE_MISMATCH', `the lower of ${image.ref} is in another form now than when its memory was kept`)
}

/** The way out of a memory that nothing can go on from; what the VMM itself says of it may be another matter the next time. */
export function withWayOut(error: unknown, name: string): unknown {
  const isFinal = isProblem(error, 'MEMORY_DAMAGED') || isProblem(error, 'STATE_MISMATCH')
  if (!isFinal && !isProblem(error, 'MACHINE_FAILED')) return error
  const boot = `boot it from its disk, which loses what was in its memory: cowshed start --cold-boot ${name}`
  return new Problem(error.code, `the shed ${name} cannot be woken: ${error.message}`, {
    hint: isFinal ? boot : `try again; or ${boot}`,
    cause: error,
    ...(error.data === undefined ? {} : { data: error.data }),
  })
}
