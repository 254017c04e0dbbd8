import type { ShedsContext } from '../context.ts'
import { loadShed } from '../records/load-shed.ts'
import { refuseCold, type ShedRecord } from '../records/shed-record.ts'
import { settleShed } from '../settle-shed.ts'
import type { Transitions } from '../transitions.ts'
import { type Attachment, allAttachments } from './attachments.ts'

/** Does something while nobody else changes who has these volumes, or the volumes. Whoever holds sheds as well has taken those first. */
export async function holdVolumes<T>(
  { volumeTurns }: ShedsContext,
  names: readonly string[],
  work: () => Promise<T>,
): Promise<T> {
  return await inTurns(volumeTurns, [...new Set(names)].sort(), work)
}

export interface Holder {
  readonly attachment: Attachment
  /** At rest. */
  readonly record: ShedRecord
}

/** The same for one volume, together with the sheds that have it: none of them starts or stops meanwhile. */
export async function holdWithSheds<T>(
  context: ShedsContext,
  volume: string,
  work: (holders: readonly Holder[]) => Promise<T>,
): Promise<T> {
  for (;;) {
    const sheds = await shedsOf(context, volume)
    const done = await inTurns(context.transitions, sheds, async () => {
      const records = await Promise.all(sheds.map(async (name) => settleShed(context, await loadShed(context, name))))
      return await holdVolumes(context, [volume], async () => {
        // Another one may have been given it, or may have gone, before we held it.
        const attachments = (await allAttachments(context)).filter((attachment) => attachment.volume === volume)
        if (attachments.map(({ shed }) => shed).join() !== sheds.join()) return undefined
        const holders = attachments.flatMap((attachment) => {
          const record = records.find((each) => each?.name === attachment.shed)
          if (record === undefined) return []
          refuseCold(record, `use the disk of ${volume}, which ${record.name} has`)
          return [{ attachment, record }]
        })
        return { result: await work(holders) }
      })
    })
    if (done !== undefined) return done.result
  }
}

/** By name, as they are read: everybody takes them in one order. */
async function shedsOf(context: ShedsContext, volume: string): Promise<string[]> {
  return (await allAttachments(context)).filter((each) => each.volume === volume).map(({ shed }) => shed)
}

async function inTurns<T>(turns: Transitions, names: readonly string[], work: () => Promise<T>): Promise<T> {
  const [first, ...rest] = names
  return first === undefined ? await work() : await turns.run(first, () => inTurns(turns, rest, work))
}
