import type { ProgressEvent } from '../../contract/index.ts'

export interface PhaseTotal {
  readonly phase: string
  readonly done: number
  /** Known when it is known for every item of the phase. */
  readonly total: number | undefined
}

/** Adds up the items of a phase, which may go on side by side: layers that are unpacked, say. */
export class PhaseTotals {
  readonly #items = new Map<string, Map<string, ProgressEvent>>()

  add(progress: ProgressEvent): PhaseTotal {
    const { phase, item = '' } = progress
    const items = this.#items.get(phase) ?? new Map<string, ProgressEvent>()
    items.set(item, progress)
    this.#items.set(phase, items)
    let done = 0
    let total: number | undefined = 0
    for (const one of items.values()) {
      done += one.done
      total = total === undefined || one.total === undefined ? undefined : total + one.total
    }
    return { phase, done, total }
  }
}
