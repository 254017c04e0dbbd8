import { setMaxListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Problem } from '../base/index.ts'

/**
 * One transition at a time per name, in the order in which they were asked for. There is one daemon per data directory, so a lock in memory
 * is enough; what a killed daemon left half done is settled by recoverSheds before the next one serves.
 */
export class Transitions {
  readonly #tails = new Map<string, Promise<void>>()
  /** Work on what rests, by name: whoever wants a transition ends it. */
  readonly #atRest = new Map<string, AbortController>()
  readonly #waitMs: number
  readonly #busy: (name: string) => Problem
  readonly #closing = new AbortController()

  /**
   * @param waitMs how long a caller waits for earlier transitions of the same name
   * @param busy what is said to one who has waited that long
   */
  constructor(waitMs: number, busy: (name: string) => Problem = shedIsBusy) {
    this.#waitMs = waitMs
    this.#busy = busy
    // Each transition under way listens, however many there are, and stops listening with its end.
    setMaxListeners(0, this.#closing.signal)
  }

  /** Aborted, with a Problem CANCELLED, when the daemon is going: what waits for a guest stops waiting. */
  get closing(): AbortSignal {
    return this.#closing.signal
  }

  isBusy(name: string): boolean {
    return this.#tails.has(name)
  }

  /** Begins no more transitions, and tells those under way. Resolves when there is none any more, at the latest after `patienceMs`. */
  async close(patienceMs: number): Promise<void> {
    this.#closing.abort(new Problem('CANCELLED', 'the daemon is stopping'))
    for (const work of this.#atRest.values()) work.abort()
    const patience = new AbortController()
    const late = sleep(patienceMs, undefined, { signal: patience.signal }).catch(() => undefined)
    await Promise.race([Promise.all(this.#tails.values()), late])
    patience.abort()
  }

  /** @throws Problem SHED_BUSY (unless told otherwise) when an earlier transition does not end in time, CANCELLED when the daemon is going */
  async run<T>(name: string, transition: () => Promise<T>): Promise<T> {
    this.#atRest.get(name)?.abort()
    const before = this.#tails.get(name) ?? Promise.resolve()
    const mine = withResolvers()
    // Whoever comes next waits for those before us too, also when we gave up waiting.
    const tail = before.then(() => mine.promise)
    this.#tails.set(name, tail)
    try {
      await this.#waitFor(before, name)
      this.closing.throwIfAborted()
      return await transition()
    } finally {
      mine.resolve()
      void tail.then(() => {
        if (this.#tails.get(name) === tail) this.#tails.delete(name)
      })
    }
  }

  /**
   * Runs work that changes nothing and is in nobody's way: its signal is aborted as soon as anybody wants a transition of that name, who does not wait for it, or
   * the daemon is going. One at a time per name.
   *
   * @throws Problem CANCELLED when there is such a transition already, or the work fails once it is to end; else what it throws
   */
  async whileAtRest<T>(name: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    this.closing.throwIfAborted()
    if (this.isBusy(name) || this.#atRest.has(name)) throw notAtRest(name)
    const mine = new AbortController()
    this.#atRest.set(name, mine)
    try {
      return await work(mine.signal)
    } catch (cause) {
      throw mine.signal.aborted ? notAtRest(name, cause) : cause
    } finally {
      this.#atRest.delete(name)
    }
  }

  async #waitFor(before: Promise<void>, name: string): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(this.#busy(name)), this.#waitMs)
    })
    try {
      await Promise.race([before, late])
    } finally {
      clearTimeout(timer)
    }
  }
}

function shedIsBusy(name: string): Problem {
  return new Problem('SHED_BUSY', `the shed ${name} is in the middle of another transition`, {
    hint: `see what it is doing: cowshed inspect ${name}`,
  })
}

function notAtRest(name: string, cause?: unknown): Problem {
  return new Problem('CANCELLED', `${name} is not at rest`, { cause })
}

function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {}
  const promise = new Promise<void>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}
