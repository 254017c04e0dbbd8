import { join } from 'node:path'
import { type DataLayout, isProblem, Problem, parseName } from '../../base/index.ts'
import { cloneVolume as cloneDisk, loadVolume, volumeExists } from '../../disks/index.ts'
import { cloneFile, openStaging, reflinkFile } from '../../host/index.ts'
import type { ShedsContext } from '../context.ts'
import { shedNotRunning } from '../records/shed-record.ts'
import { whileAwake } from '../verbs/while-awake.ts'
import { whileFrozen } from '../vm/while-frozen.ts'
import { type Holder, holdWithSheds } from './hold-volumes.ts'

/** @see Volumes.clone */
export async function cloneVolume(context: ShedsContext, name: string, newName: string): Promise<void> {
  const { layout, events } = context
  await cutDisk(context, name, async (clone) => {
    // Before a guest is made to wait.
    await refuseExisting(layout, newName)
    await cloneDisk(layout, { from: name, name: newName, clone })
  })
  const message = `volume ${newName} is a clone of ${name}`
  events.append({ type: 'volume.cloned', subject: newName, message, data: { source: name } })
}

/** @see Volumes.copyDisk */
export async function copyVolume(context: ShedsContext, name: string, to: string): Promise<void> {
  const { data } = context.layout.volume(name)
  await cutDisk(context, name, async (clone) => void (await clone(data, to)))
}

/** @see Volumes.restingDisk */
export async function restingDisk(context: ShedsContext, name: string): Promise<string | undefined> {
  return await holdWithSheds(context, name, async (holders) => {
    await loadVolume(context.layout, name)
    return writerOf(context, holders) === undefined ? context.layout.volume(name).data : undefined
  })
}

type CopyWith = (clone: typeof cloneFile) => Promise<void>

/** Has a volume's disk copied while nobody writes to it, and no shed that has the volume starts or stops. */
async function cutDisk(context: ShedsContext, name: string, copy: CopyWith): Promise<void> {
  await holdWithSheds(context, name, async (holders) => {
    await loadVolume(context.layout, name)
    const writer = writerOf(context, holders)
    if (writer === undefined) await copy(cloneFile)
    else await whileAwake(context, writer.record, async () => await copyFrozen(context, writer, copy))
  })
}

function writerOf({ live }: ShedsContext, holders: readonly Holder[]): Holder | undefined {
  return holders.find(({ record, attachment }) => !attachment.readOnly && live.has(record.name))
}

/** @throws Problem VOLUME_ALREADY_EXISTS, also for one that is broken */
export async function refuseExisting(layout: DataLayout, name: string): Promise<void> {
  const found = await loadVolume(layout, parseName(name, 'name for a volume')).catch((error: unknown) => {
    if (isProblem(error, 'VOLUME_NOT_FOUND')) return undefined
    throw isProblem(error, 'RECORD_INVALID') ? volumeExists(name, error) : error
  })
  if (found !== undefined) throw volumeExists(name)
}

/** All that the guest has written is on the disk while its filesystem is frozen, and nothing is in its journal (ext4_freeze flushes it). */
async function copyFrozen(context: ShedsContext, { record, attachment }: Holder, copy: CopyWith): Promise<void> {
  if (!(await sharesExtents(context, attachment.volume))) throw wouldBeCopied(attachment.volume, record.name)
  const agent = await context.live.get(record.name)?.agent()
  if (agent === undefined) throw shedNotRunning(record.name)
  await copy(async (from, to) => {
    const { result } = await whileFrozen(agent, () => reflinkFile(from, to))
    return result ?? fail(wouldBeCopied(attachment.volume, record.name))
  })
}

async function sharesExtents({ layout }: ShedsContext, volume: string): Promise<boolean> {
  await using staging = await openStaging(layout, 'probe')
  return (await reflinkFile(layout.volume(volume).record, join(staging.path, 'probe'))) !== undefined
}

function wouldBeCopied(volume: string, shed: string): Problem {
  return new Problem(
    'VOLUME_IN_USE',
    `the running shed ${shed} writes to the volume ${volume}, which would be copied`,
    {
      hint: `files here share no extents, so that it takes a while; stop it first: cowshed stop ${shed}`,
      data: { volume, shed },
    },
  )
}

function fail(problem: Problem): never {
  throw problem
}
