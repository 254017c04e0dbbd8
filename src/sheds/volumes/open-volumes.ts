import { formatSize, isProblem, Problem } from '../../base/index.ts'
import type { CreateVolumeReply, CreateVolumeRequest, Volume } from '../../contract/index.ts'
import {
  createVolume,
  installVolume,
  type LoadedVolume,
  loadAllVolumes,
  loadVolume,
  removeVolume,
  volumeBytes,
} from '../../disks/index.ts'
import type { SeenFiles } from '../../host/index.ts'
import { type Pin, refusePinned } from '../../state/index.ts'
import { knownPins, type ShedsContext } from '../context.ts'
import { allAttachments, seenAttachments } from './attachments.ts'
import { cloneVolume, copyVolume, refuseExisting, restingDisk } from './clone-volume.ts'
import { holdVolumes } from './hold-volumes.ts'
import { resizeVolume } from './resize-volume.ts'
import { trimVolume } from './trim-volume.ts'
import { volumeView } from './volume-view.ts'
import type { Volumes } from './volumes.ts'

/** The volumes of the data directory whose sheds these are. */
export function openVolumes(context: ShedsContext): Volumes {
  const { layout, pins, events } = context
  const views = async (volumes: readonly LoadedVolume[], seen?: SeenFiles): Promise<Volume[]> => {
    // Who has them is in the records of all sheds.
    if (volumes.length === 0) return []
    const around = { attachments: await seenAttachments({ ...context, seen }), pins: await knownPins(context) }
    return volumes.map((volume) => volumeView(volume, around))
  }
  const view = async (name: string): Promise<Volume> => {
    const [shown] = await views([await loadOrBroken(context, name)])
    return shown ?? Promise.reject(new Error(`no view of ${name}`))
  }

  return {
    create: async (request) => {
      const outcome = await holdVolumes(context, [request.name], () => createOnce(context, request))
      return { volume: await view(request.name), outcome }
    },
    get: view,
    list: async (seen) => views(await loadAllVolumes(layout), seen),
    remove: async (name, { force }) => await holdVolumes(context, [name], () => remove(context, name, force)),
    async resize(name, bytes) {
      const grown_by = await resizeVolume(context, name, bytes)
      return { volume: await view(name), grown_by }
    },
    async clone(name, newName) {
      await cloneVolume(context, name, newName)
      return await view(newName)
    },
    copyDisk: async (name, to) => await copyVolume(context, name, to),
    restingDisk: async (name) => await restingDisk(context, name),
    async createFrom(name, make) {
      await createFrom(context, name, make)
      return await view(name)
    },
    trim: async (name, options) => await trimVolume(context, name, options),
    protect: async (name, isProtected) =>
      await holdVolumes(context, [name], async () => {
        await loadOrBroken(context, name)
        if (await pins.set(pinOf(name), isProtected)) {
          const type = isProtected ? 'volume.protected' : 'volume.unprotected'
          const message = `volume ${name} is ${isProtected ? 'protected' : 'protected no more'}`
          events.append({ type, subject: name, message })
        }
        return await view(name)
      }),
  }
}

/** Not in the volume's turn: what takes long holds up nobody, and of two that make the same one the second to be ready is refused. */
async function createFrom(
  { layout, events }: ShedsContext,
  name: string,
  make: (path: string) => Promise<void>,
): Promise<void> {
  await refuseExisting(layout, name)
  await installVolume(layout, name, make)
  events.append({ type: 'volume.restored', subject: name, message: `volume ${name} is restored` })
}

async function createOnce(
  { layout, events }: ShedsContext,
  { name, bytes }: CreateVolumeRequest,
): Promise<CreateVolumeReply['outcome']> {
  const existing = await loadVolume(layout, name).catch(unlessNotFound)
  if (existing?.bytes === volumeBytes(bytes)) return 'unchanged'
  if (existing !== undefined) throw otherSize(name, existing.bytes)
  await createVolume(layout, { name, bytes })
  events.append({ type: 'volume.created', subject: name, message: `volume ${name} is created`, data: { bytes } })
  return 'created'
}

/** Fails closed: while a shed cannot be read, or it cannot be known what is protected, nothing goes. */
async function remove(context: ShedsContext, name: string, force: boolean): Promise<void> {
  const { layout, pins, events } = context
  const { problem } = await loadOrBroken(context, name)
  if (problem !== undefined && !force) throw problem
  await refusePinned(pins, pinOf(name), name)
  const sheds = (await allAttachments(context)).filter(({ volume }) => volume === name).map(({ shed }) => shed)
  if (sheds.length > 0) throw attached(name, sheds)
  await removeVolume(layout, name)
  events.append({ type: 'volume.deleted', subject: name, message: `volume ${name} is removed` })
}

/** @throws Problem VOLUME_NOT_FOUND */
async function loadOrBroken({ layout }: ShedsContext, name: string): Promise<LoadedVolume> {
  try {
    return { name, volume: await loadVolume(layout, name) }
  } catch (error) {
    if (isProblem(error, 'RECORD_INVALID')) return { name, problem: error }
    throw error
  }
}

function pinOf(name: string): Pin {
  return { kind: 'volume', id: name }
}

function unlessNotFound(error: unknown): undefined {
  if (!isProblem(error, 'VOLUME_NOT_FOUND')) throw error
}

function otherSize(name: string, bytes: number): Problem {
  return new Problem('VOLUME_ALREADY_EXISTS', `there is a volume ${name} already, of ${formatSize(bytes)}`, {
    hint: `choose another name, or make that one larger: cowshed volume resize ${name} SIZE`,
  })
}

function attached(name: string, sheds: readonly string[]): Problem {
  const them = sheds.length === 1 ? `the shed ${sheds[0]} has` : `the sheds ${sheds.join(', ')} have`
  return new Problem('VOLUME_IN_USE', `${them} the volume ${name}`, {
    hint: `take it from there first: cowshed volume detach ${sheds[0]} ${name}`,
    data: { volume: name, sheds: [...sheds] },
  })
}
