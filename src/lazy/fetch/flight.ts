import type { Problem } from '../../base/index.ts'

/** What becomes of a leaf that is being fetched: its bytes, which are right; or nothing, when one has to ask again, because the fetch ended before its turn. */
export type Landed = Buffer | undefined

interface Waiting {
  /** Somebody has asked for it. */
  isWanted: boolean
  readonly landed: Promise<Landed>
  readonly resolve: (bytes: Landed) => void
  readonly reject: (problem: Problem) => void
}

/** Leaves of a lower that are fetched together, in their order. */
export class Flight {
  readonly end: number
  /** The first leaf that has not come yet. */
  next: number
  /** How far in the lower bytes have ever come for it. */
  furthest = 0
  readonly #first: number
  readonly #waiting: readonly Waiting[]

  constructor(first: number, end: number) {
    this.#first = first
    this.next = first
    this.end = end
    this.#waiting = Array.from({ length: end - first }, newWaiting)
  }

  landed(leaf: number): Promise<Landed> {
    const waiting = this.#at(leaf)
    if (waiting === undefined) return Promise.resolve(undefined)
    waiting.isWanted = true
    return waiting.landed
  }

  /** Whether anybody waits for the next leaf. */
  get isNextWanted(): boolean {
    return this.#at(this.next)?.isWanted === true
  }

  /** The next leaf is here. @param bytes of it; nothing when whoever wants it later finds it where it is kept */
  land(bytes: Landed): void {
    this.#at(this.next)?.resolve(bytes)
    this.next++
  }

  /** It has ended before all of it was here. @param whose all that are left, or the next one, which alone is to blame */
  fail(problem: Problem, whose: 'all' | 'next'): void {
    for (let leaf = this.next; leaf < this.end; leaf++) {
      if (whose === 'all' || leaf === this.next) this.#at(leaf)?.reject(problem)
      else this.#at(leaf)?.resolve(undefined)
    }
  }

  #at(leaf: number): Waiting | undefined {
    return this.#waiting[leaf - this.#first]
  }
}

function newWaiting(): Waiting {
  let [resolve, reject]: [Waiting['resolve'], Waiting['reject']] = [() => {}, () => {}]
  const landed = new Promise<Landed>((...both) => {
    ;[resolve, reject] = both
  })
  // Nobody may be waiting for it: what is fetched ahead is asked for by nobody.
  landed.catch(() => {})
  return { isWanted: false, landed, resolve, reject }
}
