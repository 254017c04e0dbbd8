import { isProblem, Problem } from '../../base/index.ts'
import { nothingCame, type Outage } from './outage.ts'

/**
 * Ends a fetch for which nothing has come for too long: while it waits in line, when nothing comes for anybody; from then on, when nothing comes for
 * it. So those who wait for it wait no longer than the policy says, however many fetches there are.
 */
export class SilenceWatch implements Disposable {
  readonly signal: AbortSignal
  /** How long nothing may come, in milliseconds; it may be for ever. */
  readonly patienceMs: number
  readonly #outage: Outage
  readonly #controller = new AbortController()
  #since = performance.now()
  #inLine = true
  #timer: NodeJS.Timeout | undefined

  /** @param closing aborted when all of it is to end @throws Problem when one need not even try: Outage.patience */
  constructor(outage: Outage, closing: AbortSignal) {
    this.#outage = outage
    this.patienceMs = outage.patience()
    this.signal = AbortSignal.any([this.#controller.signal, closing])
    this.#look()
  }

  /** Its turn has come. */
  entered(): void {
    this.#inLine = false
    this.#since = performance.now()
  }

  gained(): void {
    this.#since = performance.now()
  }

  /** Why the fetch has ended. @param last what went wrong last, when anything did */
  reason(last: unknown): Problem {
    if (!this.#controller.signal.aborted) return new Problem('CANCELLED', 'the lower was closed')
    const problem = nothingCame(this.patienceMs, isProblem(last, 'CANCELLED') ? undefined : last)
    this.#outage.gaveUp(problem)
    return problem
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
  }

  #look = (): void => {
    if (this.patienceMs === Number.POSITIVE_INFINITY) return
    const since = this.#inLine ? Math.max(this.#since, this.#outage.lastGain) : this.#since
    const left = since + this.patienceMs - performance.now()
    if (left <= 0) this.#controller.abort()
    else this.#timer = setTimeout(this.#look, left)
  }
}
