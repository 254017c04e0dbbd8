import { type OnProgress, Problem } from '../../base/index.ts'

export interface Passenger {
  readonly onProgress?: OnProgress | undefined
  readonly signal?: AbortSignal | undefined
}

/** What the work itself gets: its progress goes to all who wait, and it is aborted when the last of them has left. */
export interface Crew {
  readonly onProgress: OnProgress
  readonly signal: AbortSignal
}

interface Flight<T> {
  readonly landing: Promise<T>
  readonly listeners: Set<OnProgress>
  readonly controller: AbortController
  passengers: number
}

/** Work that many ask for at the same time is done once (single-flight), by key. */
export class Flights<T> {
  readonly #flights = new Map<string, Flight<T>>()

  /**
   * Waits for the work that is under way for `key`, or starts it.
   *
   * @throws Problem CANCELLED when the caller's own signal is aborted: at once, or, for the last one who waits, when the work has ended and
   *   tidied up; whatever the work throws
   */
  async join(key: string, { onProgress, signal }: Passenger, start: (crew: Crew) => Promise<T>): Promise<T> {
    if (signal?.aborted) throw cancelled()
    const flight = this.#flights.get(key) ?? this.#launch(key, start)
    flight.passengers++
    if (onProgress) flight.listeners.add(onProgress)
    try {
      return await untilAborted(flight.landing, signal)
    } finally {
      if (onProgress) flight.listeners.delete(onProgress)
      if (--flight.passengers === 0) await this.#end(key, flight)
    }
  }

  #launch(key: string, start: (crew: Crew) => Promise<T>): Flight<T> {
    const listeners = new Set<OnProgress>()
    const controller = new AbortController()
    const onProgress: OnProgress = (progress) => {
      for (const listener of listeners) listener(progress)
    }
    const landing = start({ onProgress, signal: controller.signal })
    const flight = { landing, listeners, controller, passengers: 0 }
    this.#flights.set(key, flight)
    // Before those who wait hear of it: one that tries again must not be given what has failed.
    landing.catch(() => this.#forget(key, flight))
    return flight
  }

  /** Whoever asks from now on starts anew: what was made is there, or it failed, or it is being given up. */
  async #end(key: string, flight: Flight<T>): Promise<void> {
    this.#forget(key, flight)
    flight.controller.abort()
    await flight.landing.catch(() => {})
  }

  #forget(key: string, flight: Flight<T>): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key)
  }
}

function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  return new Promise<T>((resolve, reject) => {
    const onAbort = () => reject(cancelled())
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}

function cancelled(): Problem {
  return new Problem('CANCELLED', 'it was stopped on request')
}
