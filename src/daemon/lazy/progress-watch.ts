import type { LazyProgress } from '../../contract/index.ts'
import type { EventLog } from '../../state/index.ts'
import { progressOf } from './lazy-progress.ts'
import { readServing } from './serving-status.ts'
import { ProgressTeller, type ToldLower } from './tell-progress.ts'

export interface WatchProgress {
  /** Where those who serve it say what they do. @see servingDirectory */
  readonly directory: string
  readonly lower: ToldLower
  readonly events: Pick<EventLog, 'append' | 'read'>
}

/** How often it is looked, in milliseconds. */
const lookMs = 1_000

/** Looks again and again at what those say who serve a lower, and tells what becomes of it. */
export class ProgressWatch implements Disposable {
  readonly #directory: string
  readonly #teller: ProgressTeller
  readonly #timer: NodeJS.Timeout
  #isLooking = false
  #progress: LazyProgress | undefined

  constructor({ directory, lower, events }: WatchProgress) {
    this.#directory = directory
    this.#teller = new ProgressTeller(events, lower)
    this.#timer = setInterval(() => void this.#look(), lookMs)
    this.#timer.unref()
    void this.#look()
  }

  /** How far it was a moment ago: the same value for as long as it is the same. Undefined before anybody has said so. */
  get progress(): LazyProgress | undefined {
    return this.#progress
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return
    this.#isLooking = true
    try {
      const serving = await readServing(this.#directory)
      const progress = progressOf(serving)
      // While another server is started all is as it was.
      if (progress === undefined || JSON.stringify(progress) === JSON.stringify(this.#progress)) return
      this.#progress = progress
      this.#teller.tell({ progress, gives: serving.some(({ isAlive, origin }) => isAlive && origin === 'gives') })
    } catch {
      // What cannot be read now may be in a second.
    } finally {
      this.#isLooking = false
    }
  }
}
