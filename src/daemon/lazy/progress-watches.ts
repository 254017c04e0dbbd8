import type { Digest } from '../../base/index.ts'
import type { LazyProgress } from '../../contract/index.ts'
import { ProgressWatch, type WatchProgress } from './progress-watch.ts'

export interface JoinWatch extends Pick<WatchProgress, 'directory'> {
  readonly chunkIndex: Digest
  /** The subject of its events; of several, that of whoever came first. */
  readonly reference: string
  /** Who reads it there, at any time. */
  readonly sheds: Iterable<string>
}

/** A share of a watch, which ends with its last. */
export interface JoinedWatch extends Disposable {
  /** @see ProgressWatch.progress */
  readonly progress: LazyProgress | undefined
}

/** One watch for each lower, however many processes serve it: what becomes of it is told once, and names all who read it. */
export class ProgressWatches {
  readonly #events: WatchProgress['events']
  readonly #open = new Map<Digest, { watch: ProgressWatch; readers: Set<Iterable<string>> }>()

  constructor(events: WatchProgress['events']) {
    this.#events = events
  }

  join(lower: JoinWatch): JoinedWatch {
    const { watch, readers } = this.#watchOf(lower)
    readers.add(lower.sheds)
    return {
      get progress() {
        return watch.progress
      },
      [Symbol.dispose]: () => {
        if (!readers.delete(lower.sheds) || readers.size > 0) return
        this.#open.delete(lower.chunkIndex)
        watch[Symbol.dispose]()
      },
    }
  }

  #watchOf({ directory, chunkIndex, reference }: JoinWatch) {
    const known = this.#open.get(chunkIndex)
    if (known !== undefined) return known
    const readers = new Set<Iterable<string>>()
    const sheds = {
      *[Symbol.iterator]() {
        for (const names of readers) yield* names
      },
    }
    const watch = new ProgressWatch({ directory, lower: { reference, chunkIndex, sheds }, events: this.#events })
    const opened = { watch, readers }
    this.#open.set(chunkIndex, opened)
    return opened
  }
}
