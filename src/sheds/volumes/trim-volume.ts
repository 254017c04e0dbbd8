import { Problem } from '../../base/index.ts'
import { loadVolume, trimDisk } from '../../disks/index.ts'
import type { ShedsContext } from '../context.ts'
import { volumeDrive } from '../shed-disk.ts'
import type { TrimmedShed } from '../verbs/trim-shed.ts'
import { whileAwake } from '../verbs/while-awake.ts'
import { holdWithSheds } from './hold-volumes.ts'
import { volumeIsRead } from './volume-is-read.ts'

/** @see Volumes.trim */
export async function trimVolume(
  context: ShedsContext,
  name: string,
  { dryRun }: { readonly dryRun: boolean },
): Promise<TrimmedShed> {
  return await holdWithSheds(context, name, async (holders) => {
    const { record: volume } = await loadVolume(context.layout, name)
    const running = holders.filter(({ record }) => context.live.has(record.name))
    const [holder] = running
    if (holder === undefined)
      return { by: 'host', ...(await trimDisk({ path: context.layout.volume(name).data, dryRun })) }
    if (holder.attachment.readOnly) throw volumeIsRead(name, holder.record.name)
    if (dryRun) throw onlyGuestKnows(name, holder.record.name)
    const trimmed = await whileAwake(context, holder.record, async () => {
      const agent = await context.live.get(holder.record.name)?.agent()
      return await agent?.trim({ serial: volumeDrive(volume.id) })
    })
    return { by: 'guest', freeBytes: trimmed?.trimmedBytes ?? 0 }
  })
}

function onlyGuestKnows(volume: string, shed: string): Problem {
  return new Problem('SHED_NOT_STOPPED', `only the guest of ${shed} knows what ${volume} has free while it runs`, {
    hint: `without --dry-run it gives that back: cowshed system trim ${shed}`,
  })
}
