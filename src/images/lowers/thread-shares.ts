/** What takes part in the sharing, until it is disposed of. */
export interface ThreadShare extends Disposable {
  readonly threads: number
}

/** Divides the threads of a machine among what is done at the same time, by size: a large layer beside small ones gets those that they cannot use. */
export class ThreadShares {
  readonly #threads: number
  #bytesAtWork = 0

  constructor(threads: number) {
    this.#threads = threads
  }

  /** @returns 1 thread at least */
  take(bytes: number): ThreadShare {
    this.#bytesAtWork += bytes
    const threads = Math.max(1, Math.round((this.#threads * bytes) / Math.max(1, this.#bytesAtWork)))
    return {
      threads,
      [Symbol.dispose]: () => {
        this.#bytesAtWork -= bytes
      },
    }
  }
}
