import { bootTraceLimits } from '../../formats/index.ts'
import type { LeafHashes } from '../cache/leaf-hashes.ts'
import type { LazyCounters } from '../counters.ts'

export interface OpenLeafUse {
  readonly hashes: Pick<LeafHashes, 'count' | 'lengthOf'>
  readonly counters: LazyCounters
  /** Leaves at the beginning that come in any case: of no interest to a trace. */
  readonly bootstrap: number
}

/** What became of each leaf since the lower was opened: whether it was read, and whether it was fetched before anybody did. */
export class LeafUse {
  readonly #options: OpenLeafUse
  readonly #state: Uint8Array
  readonly #touched: number[] = []

  constructor(options: OpenLeafUse) {
    this.#options = options
    this.#state = new Uint8Array(options.hashes.count)
  }

  /** Leaves in the order in which they were read first, as many as a boot trace may have. */
  get touched(): readonly number[] {
    return this.#touched
  }

  isRead(leaf: number): boolean {
    return this.#state[leaf] === read
  }

  /** Fetched, and read by nobody. */
  isUnread(leaf: number): boolean {
    return this.#state[leaf] === unread
  }

  /** It is being read. */
  read(leaf: number): void {
    const before = this.#state[leaf]
    if (before === read) return
    this.#state[leaf] = read
    if (before === unread) this.#options.counters.unreadBytes -= this.#options.hashes.lengthOf(leaf)
    if (leaf >= this.#options.bootstrap && this.#touched.length < bootTraceLimits.leaves) this.#touched.push(leaf)
  }

  /** It has come from the registry. */
  fetched(leaf: number): void {
    if (this.#state[leaf] !== 0) return
    this.#state[leaf] = unread
    this.#options.counters.unreadBytes += this.#options.hashes.lengthOf(leaf)
  }
}

const [read, unread] = [1, 2]
