import { Problem } from '../../base/index.ts'
import { trimDisk } from '../../disks/index.ts'
import type { ShedsContext } from '../context.ts'
import { refuseCold, type ShedRecord } from '../records/shed-record.ts'
import { diskPath } from '../shed-disk.ts'
import { holdVolumes } from '../volumes/hold-volumes.ts'
import { whileAwake } from './while-awake.ts'

export interface TrimmedShed {
  /** Who knew what is free: the guest of a running shed, or its filesystem's bitmaps. */
  readonly by: 'guest' | 'host'
  readonly freeBytes: number
  /** What of that had data on the host; a guest does not say. */
  readonly punchedBytes?: number
}

/**
 * Gives what a settled shed's filesystem has free back to the host, inside its transition. @see Sheds.trim
 *
 * @throws Problem SHED_NOT_STOPPED for a dry run of one that runs, AGENT_UNREACHABLE, GUEST_FAILED, EXT4_INVALID
 */
export async function trimShed(
  context: ShedsContext,
  record: ShedRecord,
  { dryRun }: { readonly dryRun: boolean },
): Promise<TrimmedShed> {
  refuseCold(record, `trim the disk of ${record.name}`)
  const live = context.live.get(record.name)
  if (live === undefined) return { by: 'host', ...(await trimDisk({ path: diskPath(context.layout, record), dryRun })) }
  if (dryRun) {
    throw new Problem('SHED_NOT_STOPPED', `only the guest of ${record.name} knows what it has free while it runs`, {
      hint: `without --dry-run it gives that back: cowshed system trim ${record.name}`,
    })
  }
  const { trimmedBytes } = await whileAwake(context, record, async () => await (await live.agent()).trim())
  return { by: 'guest', freeBytes: trimmedBytes }
}

/** After a stop, where that is wanted: what cannot be trimmed stays as it is, and the shed is stopped all the same. */
export async function trimAfterStop(context: ShedsContext, record: ShedRecord): Promise<void> {
  if (!context.trimOnStop) return
  try {
    await trimShed(context, record, { dryRun: false })
    for (const { volume, read_only } of record.volumes) {
      const { data: path } = context.layout.volume(volume)
      if (!read_only) await holdVolumes(context, [volume], () => trimDisk({ path, dryRun: false }))
    }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    context.events.append({ type: 'shed.untrimmed', subject: record.name, message })
  }
}
