import type { CowshedEvent, LazyProgress } from '../../contract/index.ts'
import type { EventLog } from '../../state/index.ts'

export interface ToldLower {
  /** The subject of its events. */
  readonly reference: string
  readonly chunkIndex: string
  /** Who reads it. */
  readonly sheds: Iterable<string>
}

export interface SeenProgress {
  readonly progress: LazyProgress
  /** The registry has given something since whoever serves it began. */
  readonly gives: boolean
}

/** Of the newest events: an outage that is older than so many is told again. */
const remembered = 1_000

/** Tells what becomes of a lower, each change once, whatever daemon saw it: what was told already is in the event log. */
export class ProgressTeller {
  readonly #events: Pick<EventLog, 'append'>
  readonly #lower: ToldLower
  #isDegraded = false

  constructor(events: Pick<EventLog, 'append' | 'read'>, lower: ToldLower) {
    this.#events = events
    this.#lower = lower
    for (const event of events.read({ limit: remembered })) if (this.#isOfThis(event)) this.#recall(event)
  }

  tell({ progress, gives }: SeenProgress): void {
    const { degraded } = progress
    if (degraded !== undefined && !this.#isDegraded) {
      this.#append('lazy.degraded', `its registry does not give what is read: ${degraded.reason}`, {
        since: degraded.since,
      })
    }
    // Whoever serves it now may have asked for nothing yet, and knows as little as we do.
    const isBack = degraded === undefined && gives
    if (isBack && this.#isDegraded) this.#append('lazy.recovered', 'its registry gives again')
  }

  #append(type: string, what: string, more: Record<string, unknown> = {}): void {
    const { reference, chunkIndex, sheds } = this.#lower
    const data = { chunk_index_digest: chunkIndex, sheds: [...sheds].sort(), ...more }
    this.#events.append({ type, subject: reference, message: `${reference}: ${what}`, data })
    this.#recall({ type })
  }

  #isOfThis({ data }: CowshedEvent): boolean {
    return data?.chunk_index_digest === this.#lower.chunkIndex
  }

  #recall({ type }: Pick<CowshedEvent, 'type'>): void {
    if (type === 'lazy.degraded') this.#isDegraded = true
    if (type === 'lazy.recovered') this.#isDegraded = false
  }
}
