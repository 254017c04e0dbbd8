import { Problem } from '../../base/index.ts'
import { type VolumeMount, VolumeMounts } from '../../contract/index.ts'
import { writeRecord } from '../../state/index.ts'
import type { ShedsContext } from '../context.ts'
import { isDown, type ShedRecord } from '../records/shed-record.ts'
import { checkMounts } from '../volumes/check-mounts.ts'
import { holdVolumes } from '../volumes/hold-volumes.ts'

/** Gives a settled shed a volume, inside its transition. @see Sheds.attachVolume */
export async function attachVolume(context: ShedsContext, record: ShedRecord, mount: VolumeMount): Promise<ShedRecord> {
  refuseRunning(record, `attach a volume to ${record.name}`)
  const { volume, path } = mount
  const others = record.volumes.filter((each) => each.volume !== volume)
  const parsed = VolumeMounts.safeParse([...others, mount])
  if (!parsed.success) {
    const why = parsed.error.issues[0]?.message ?? 'it cannot be'
    throw new Problem('INVALID_REQUEST', `the volume ${volume} cannot be at ${path} in ${record.name}: ${why}`)
  }
  return await holdVolumes(context, [volume], async () => {
    await checkMounts(context, { shed: record.name, mounts: [mount] })
    const changed = { ...record, volumes: parsed.data }
    await writeRecord(context.layout.shed(record.name).record, changed)
    tell(context, 'volume.attached', { volume, message: `volume ${volume} is attached to ${record.name} at ${path}` })
    return changed
  })
}

/** Takes a volume from a settled shed, inside its transition. Needs nothing of the volume: it may be gone. @see Sheds.detachVolume */
export async function detachVolume(context: ShedsContext, record: ShedRecord, volume: string): Promise<ShedRecord> {
  const volumes = record.volumes.filter((each) => each.volume !== volume)
  if (volumes.length === record.volumes.length) throw notAttached(record, volume)
  refuseRunning(record, `detach a volume from ${record.name}`)
  return await holdVolumes(context, [volume], async () => {
    const changed = { ...record, volumes }
    await writeRecord(context.layout.shed(record.name).record, changed)
    tell(context, 'volume.detached', { volume, message: `volume ${volume} is detached from ${record.name}` })
    return changed
  })
}

function tell({ events }: ShedsContext, type: string, { volume, message }: { volume: string; message: string }): void {
  events.append({ type, subject: volume, message })
}

/** The devices of a microvm are there from the start: its bus has no hot-plug (docs/decisions/0091-attaching-volumes.md). */
function refuseRunning(shed: ShedRecord, what: string): void {
  if (isDown(shed)) return
  const { name, status } = shed
  throw new Problem(
    'SHED_NOT_STOPPED',
    `cannot ${what}: it is ${status}, and its devices are those that it began with`,
    {
      hint: `stop it first: cowshed stop ${name}`,
    },
  )
}

function notAttached({ name, volumes }: ShedRecord, volume: string): Problem {
  const has = volumes.length === 0 ? 'none' : volumes.map((each) => each.volume).join(', ')
  return new Problem('VOLUME_NOT_FOUND', `the shed ${name} does not have the volume ${volume}`, {
    hint: `it has ${has}`,
  })
}
