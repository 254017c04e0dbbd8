import type { DataLayout } from '../../base/index.ts'
import type { Ownership } from '../accounting/measured-file.ts'
import type { Accounting } from '../accounting/open-accounting.ts'
import { type Bytes, noBytes } from '../accounting/space.ts'
import type { Inventory } from '../inventory.ts'
import { type UsageOwners, usageOwners } from '../usage-owners.ts'
import type { EvictableEntry, EvictionFigures } from './plan-eviction.ts'

export interface MeasureEviction {
  readonly inventory: Inventory
  readonly layout: DataLayout
  readonly accounting: Pick<Accounting, 'measure'>
  readonly entries: readonly EvictableEntry[]
}

/**
 * Figures as the filesystem gives them. A lower shares the bytes of its layers where the filesystem can: alone it then frees little more than its
 * bootstrap, and its layers alone free nothing.
 *
 * @returns a function of the entries that may go, in their order
 * @throws Problem PERMISSION_DENIED, IO_FAILED
 */
export function measureEviction({ inventory, layout, accounting, entries }: MeasureEviction) {
  const owners = usageOwners(inventory, layout)
  const cache = inTurns([entries], owners)
  const measured = async (ownerships: readonly Ownership[]) =>
    (await accounting.measure({ files: owners.files, fresh: false, ownerships })).ownerships

  return async (going: readonly EvictableEntry[]): Promise<EvictionFigures> => {
    const one = going.map((entry) => [entry])
    const [inOrder, all] = await measured([inTurns(one, owners), cache])
    const marginal = (inOrder?.marginal ?? []).slice(0, going.length)
    const isWorthIt = (at: number, bytes: Bytes = noBytes) =>
      bytes.atMost > 0 && bytes.atMost * worth >= (inOrder?.held[at]?.atMost ?? 0)
    return {
      used: all?.held[0] ?? noBytes,
      marginal,
      async useless(count) {
        const idle = [...marginal.keys()].filter((at) => at < count && !isWorthIt(at, marginal[at]))
        if (idle.length === 0) return new Set()
        // Each as if it were the last of them to go.
        const asLast = idle.map((last) => [going.slice(0, count).filter((_, at) => at !== last), one[last] ?? []])
        const found = await measured(asLast.map((turns) => inTurns(turns, owners)))
        return new Set(idle.filter((entry, at) => !isWorthIt(entry, found[at]?.marginal[1])))
      },
    }
  }
}

/**
 * An entry that frees less than this part of what it has is worth more than what it frees: the index of a layer whose data stays in a lower, the
 * bootstrap of a lower whose layers stay.
 */
const worth = 32

/** Entries of the first turn are the first owner, and so on; the last owner has all the names that are in no turn. */
function inTurns(turns: readonly (readonly EvictableEntry[])[], { files, numbers }: UsageOwners): Ownership {
  const stays = turns.length
  const named = files.map(() => 0)
  for (const file of numbers.values()) named[file] = (named[file] ?? 0) + 1
  const ofFile = files.map(() => new Set<number>())
  for (const [turn, entries] of turns.entries()) {
    for (const { path } of entries.flatMap((entry) => entry.files)) {
      const file = numbers.get(path) ?? -1
      named[file] = (named[file] ?? 0) - 1
      ofFile[file]?.add(turn)
    }
  }
  return {
    owners: stays + 1,
    ofFile: ofFile.map((going, file) => [...going, ...((named[file] ?? 0) > 0 || going.size === 0 ? [stays] : [])]),
  }
}
