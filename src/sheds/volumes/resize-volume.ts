import { formatSize, Problem } from '../../base/index.ts'
import type { ResizeVolumeReply } from '../../contract/index.ts'
import { growVolume, loadVolume, volumeBytes } from '../../disks/index.ts'
import type { ShedsContext } from '../context.ts'
import { volumeDrive } from '../shed-disk.ts'
import { whileAwake } from '../verbs/while-awake.ts'
import { type Holder, holdWithSheds } from './hold-volumes.ts'
import { volumeIsRead } from './volume-is-read.ts'

/** @see Volumes.resize */
export async function resizeVolume(
  context: ShedsContext,
  name: string,
  wanted: number,
): Promise<ResizeVolumeReply['grown_by']> {
  const bytes = volumeBytes(wanted)
  const by = await holdWithSheds(context, name, async (holders) => {
    const volume = await loadVolume(context.layout, name)
    if (bytes < volume.bytes) throw smaller(name, volume.bytes)
    const running = holders.filter(({ record }) => context.live.has(record.name))
    const [writer] = running.filter(({ attachment }) => !attachment.readOnly)
    if (writer !== undefined) {
      const grow = async () => await growInGuest(context, writer, { id: volume.record.id, bytes })
      return await whileAwake(context, writer.record, grow)
    }
    const [reader] = running
    if (reader !== undefined) throw volumeIsRead(name, reader.record.name)
    await growVolume(context.layout, { name, bytes })
    return 'next mount' as const
  })
  const message = `volume ${name} has ${formatSize(bytes)}`
  context.events.append({ type: 'volume.resized', subject: name, message, data: { bytes } })
  return by
}

/** QEMU makes the file larger that it has open, tells the guest, and the guest's kernel makes the filesystem larger: nobody here reads what the guest wrote. */
async function growInGuest(
  context: ShedsContext,
  { record, attachment }: Holder,
  { id, bytes }: { readonly id: string; readonly bytes: number },
): Promise<'guest'> {
  const live = context.live.get(record.name)
  const drive = volumeDrive(id)
  const agent = await live?.agent()
  await live?.machine.growDrive(drive, bytes)
  try {
    await agent?.grow({ serial: drive, bytes })
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new Problem('GUEST_FAILED', `the drive of ${attachment.volume} is larger, its filesystem is not: ${why}`, {
      hint: `the guest tries again when it mounts it: cowshed stop ${record.name}; cowshed start ${record.name}`,
      cause,
    })
  }
  return 'guest'
}

function smaller(name: string, bytes: number): Problem {
  return new Problem('INVALID_REQUEST', `the volume ${name} has ${formatSize(bytes)} already: it can only grow`, {
    hint: 'a smaller one is a new one: cowshed volume create, and copy in a shed that has both',
  })
}
