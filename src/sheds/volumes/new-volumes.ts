import { chmod, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { z } from 'zod'
import { type DataLayout, isProblem } from '../../base/index.ts'
import { installVolume, loadAllVolumes, removeVolume } from '../../disks/index.ts'
import { cloneFile, syncDirectory } from '../../host/index.ts'
import { readRecord, stageRecord } from '../../state/index.ts'
import type { ShedsContext } from '../context.ts'
import { loadShed } from '../records/load-shed.ts'
import type { ShedRecord } from '../records/shed-record.ts'
import { refuseExisting } from './clone-volume.ts'

/** made-for.json of a volume that a shed is made with: without that shed it is nobody's. */
const MadeFor = z.object({ shed: z.string(), id: z.string() })
type MadeFor = z.infer<typeof MadeFor>

/** A volume that is made together with a shed. */
export interface NewVolume {
  readonly name: string
  /** The disk that it is a clone of; nobody writes to that. */
  readonly from: string
}

type ForShed = Pick<ShedRecord, 'name' | 'id' | 'volumes'>

/** @throws Problem VOLUME_ALREADY_EXISTS before anything is made */
export async function refuseExistingVolumes({ layout }: ShedsContext, volumes: readonly NewVolume[]): Promise<void> {
  for (const { name } of volumes) await refuseExisting(layout, name)
}

/**
 * Makes volumes for a shed that is made after them. Each is marked as its until keepNewVolumes; whatever becomes of us before that, dropNewVolumes or a daemon
 * that starts removes them.
 *
 * @throws Problem VOLUME_ALREADY_EXISTS, NO_SPACE; some of them may be there then
 */
export async function makeVolumes(
  { layout, events }: ShedsContext,
  shed: ForShed,
  volumes: readonly NewVolume[],
): Promise<void> {
  for (const { name, from } of volumes) {
    await installVolume(layout, name, async (path) => {
      await cloneFile(from, path)
      await chmod(path, 0o600)
      const mark: MadeFor = { shed: shed.name, id: shed.id }
      await stageRecord(join(dirname(path), basename(layout.volume(name).madeFor)), mark)
    })
    events.append({ type: 'volume.created', subject: name, message: `volume ${name} is made for ${shed.name}` })
  }
}

/** From now on they are volumes like any other, which outlive the shed. Needs no space. */
export async function keepNewVolumes({ layout }: ShedsContext, shed: ForShed): Promise<void> {
  for (const name of await madeFor(layout, shed)) await unmark(layout, name)
}

/** Takes back what was made for a shed that never came to be. */
export async function dropNewVolumes({ layout, events }: ShedsContext, shed: ForShed): Promise<void> {
  for (const name of await madeFor(layout, shed)) {
    await removeVolume(layout, name)
    events.append({ type: 'volume.deleted', subject: name, message: `volume ${name} is removed: ${shed.name} is not` })
  }
}

/** What the last daemon was in the middle of, once its sheds are settled: who can be read decides. */
export async function settleNewVolumes(context: ShedsContext): Promise<void> {
  for (const { name } of await loadAllVolumes(context.layout)) {
    await settleNewVolume(context, name).catch((error: unknown) => {
      context.events.append({ type: 'volume.unsettled', subject: name, message: String(error) })
    })
  }
}

async function settleNewVolume(context: ShedsContext, name: string): Promise<void> {
  const mark = await markOf(context.layout, name)
  if (mark === undefined) return
  const record = await loadShed(context, mark.shed).catch((error: unknown) => {
    if (isProblem(error, 'SHED_NOT_FOUND')) return undefined
    throw error
  })
  if (record?.id !== mark.id) await removeVolume(context.layout, name)
  // A shed that could not be settled decides it when it is.
  else if (record.status !== 'creating') await unmark(context.layout, name)
}

/** The shed that a volume is being made for, if it is. */
export async function markOf(layout: DataLayout, name: string): Promise<MadeFor | undefined> {
  return await readRecord(layout.volume(name).madeFor, MadeFor)
}

async function madeFor(layout: DataLayout, { id, volumes }: ForShed): Promise<string[]> {
  const names = volumes.map(({ volume }) => volume)
  const marks = await Promise.all(names.map((name) => markOf(layout, name)))
  return names.filter((_, at) => marks[at]?.id === id)
}

async function unmark(layout: DataLayout, name: string): Promise<void> {
  const { dir, madeFor } = layout.volume(name)
  await rm(madeFor, { force: true })
  await syncDirectory(dir)
}
