import { leafBytes } from '../formats/index.ts'
import type { LeafPresence } from './cache/leaf-presence.ts'
import type { LeafUse } from './trace/leaf-use.ts'

/** A lower in equal cells, from its beginning to its end; of each what share of its leaves, in percent. */
export interface LeafHeat {
  /** The last cell may stand for less. */
  readonly cellBytes: number
  /** Here, whether or not anybody has looked at it. */
  readonly here: readonly number[]
  /** Read by a client of this process. */
  readonly read: readonly number[]
  /** Fetched by this process, and read by nobody. */
  readonly ahead: readonly number[]
}

/** Cells at most. */
const maxCells = 64

/** @param use undefined when nobody serves the lower: then nothing was read */
export function leafHeat(presence: LeafPresence, use?: Pick<LeafUse, 'isRead' | 'isUnread'>): LeafHeat {
  const cellLeaves = Math.max(1, Math.ceil(presence.count / maxCells))
  const shares = (is: (leaf: number) => boolean) =>
    Array.from({ length: Math.ceil(presence.count / cellLeaves) }, (_, cell) => {
      const first = cell * cellLeaves
      return percentOf(first, Math.min(first + cellLeaves, presence.count), is)
    })
  return {
    cellBytes: cellLeaves * leafBytes,
    here: shares((leaf) => presence.has(leaf)),
    read: shares((leaf) => use?.isRead(leaf) === true),
    ahead: shares((leaf) => use?.isUnread(leaf) === true),
  }
}

/** Only nothing is 0, and only all is 100. */
function percentOf(first: number, end: number, is: (leaf: number) => boolean): number {
  let count = 0
  for (let leaf = first; leaf < end; leaf++) if (is(leaf)) count++
  if (count === 0 || count === end - first) return count === 0 ? 0 : 100
  return Math.min(99, Math.max(1, Math.round((count / (end - first)) * 100)))
}
