/** What somebody waits for comes before what nobody has asked for yet. */
export type Urgency = 'demand' | 'later'

interface Waiting {
  readonly enter: () => void
  urgency: Urgency
}

export interface Place extends Disposable {
  /** When its turn has come. */
  readonly entered: Promise<void>
  /** Somebody waits for it now. */
  urge(): void
}

/**
 * The requests that may be under way at one registry at a time: few enough for it, and fewer when it complains. What is for later starts when no demand waits, and
 * leaves a place free for the next one.
 */
export class RequestLine {
  readonly #limit: number
  #allowed: number
  #active = 0
  readonly #waiting = new Set<Waiting>()

  constructor(limit: number) {
    this.#limit = limit
    this.#allowed = limit
  }

  /** Takes a place in the line; dispose of it when the request is over, or is no longer wanted. */
  join(urgency: Urgency): Place {
    let state: 'waiting' | 'active' | 'gone' = 'waiting'
    let enter = () => {}
    const entered = new Promise<void>((resolve) => {
      enter = () => {
        state = 'active'
        resolve()
      }
    })
    const waiting: Waiting = { enter, urgency }
    this.#waiting.add(waiting)
    this.#admit()
    return {
      entered,
      urge: () => {
        waiting.urgency = 'demand'
        this.#admit()
      },
      [Symbol.dispose]: () => {
        if (state === 'active') this.#active--
        state = 'gone'
        this.#waiting.delete(waiting)
        this.#admit()
      },
    }
  }

  /** The registry has been asked too often. */
  throttled(): void {
    this.#allowed = Math.max(1, this.#allowed >> 1)
  }

  succeeded(): void {
    this.#allowed = Math.min(this.#limit, this.#allowed + 1)
    this.#admit()
  }

  #admit(): void {
    for (const urgency of ['demand', 'later'] as const) {
      const most = urgency === 'demand' ? this.#allowed : Math.max(1, this.#allowed - 1)
      for (const waiting of this.#waiting) {
        if (this.#active >= most) break
        if (waiting.urgency !== urgency) continue
        this.#waiting.delete(waiting)
        this.#active++
        waiting.enter()
      }
    }
  }
}
