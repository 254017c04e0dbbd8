import { z } from 'zod'
import { readRecord, writeRecord } from './record.ts'

/** What can be pinned, and what names it: an image by the digest that its tags point at, a shed, a snapshot or a volume by its name. */
const Pin = z.object({ kind: z.enum(['image', 'shed', 'snapshot', 'volume']), id: z.string() })
export type Pin = z.infer<typeof Pin>

const PinsRecord = z.object({ version: z.literal(1), pins: z.array(Pin) })

/**
 * What nothing may remove until somebody has unpinned it. Everybody who removes something asks here, at the moment of the removal; a record that cannot
 * be read pins everything.
 */
export interface Pins {
  /** @throws Problem RECORD_INVALID */
  read(): Promise<PinSet>
  /** Pins or unpins. @returns whether that is a change @throws Problem RECORD_INVALID, NO_SPACE, IO_FAILED */
  set(pin: Pin, pinned: boolean): Promise<boolean>
}

export interface PinSet {
  has(pin: Pin): boolean
}

/** The pins of a data directory. One of these for all of its rooms: changes are made one after another. */
export function openPins({ pins: path }: { readonly pins: string }): Pins {
  let last: Promise<unknown> = Promise.resolve()
  const load = async () => (await readRecord(path, PinsRecord))?.pins ?? []
  const change = async (pin: Pin, pinned: boolean): Promise<boolean> => {
    const before = await load()
    if (setOf(before).has(pin) === pinned) return false
    const others = before.filter((one) => keyOf(one) !== keyOf(pin))
    await writeRecord(path, { version: 1, pins: pinned ? [...others, pin] : others })
    return true
  }
  return {
    read: async () => setOf(await load()),
    set(pin, pinned) {
      const changed = last.then(() => change(pin, pinned))
      last = changed.catch(() => undefined)
      return changed
    },
  }
}

function setOf(pins: readonly Pin[]): PinSet {
  const keys = new Set(pins.map(keyOf))
  return { has: (pin) => keys.has(keyOf(pin)) }
}

function keyOf({ kind, id }: Pin): string {
  return `${kind} ${id}`
}
