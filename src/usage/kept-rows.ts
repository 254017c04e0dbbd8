import { isAlike } from './remember-last.ts'

/**
 * Rows of a report, each with what it was made from: one that would say what it said the last time is the same value as then, and who has written down a
 * thousand of them need not do so again.
 */
export interface KeptRows {
  /**
   * @param thing what the row is about, the same value for as long as it and its files are as they were
   * @param figures all else that the row is made from
   */
  row<T extends object>(thing: object, figures: unknown, make: () => T): T
}

export function keptRows(): KeptRows {
  const known = new WeakMap<object, { readonly figures: unknown; readonly row: object }>()
  return {
    row<T extends object>(thing: object, figures: unknown, make: () => T) {
      const last = known.get(thing)
      // Of one thing there is one kind of row.
      if (last !== undefined && isAlike(last.figures, figures)) return last.row as T
      const row = make()
      known.set(thing, { figures, row })
      return row
    },
  }
}
