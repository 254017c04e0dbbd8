import { setTimeout as sleep } from 'node:timers/promises'
import { Problem, type ProblemCode, type ProblemDetails } from '../../base/index.ts'
import type { Patience } from './patience.ts'

export interface PassingDetails extends ProblemDetails {
  /** When the server says that it will do. */
  readonly retryAfterMs?: number | undefined
}

/** A problem that may be gone when one tries again. */
export class PassingProblem extends Problem {
  readonly retryAfterMs: number | undefined

  constructor(code: ProblemCode, message: string, { retryAfterMs, ...details }: PassingDetails = {}) {
    super(code, message, details)
    this.retryAfterMs = retryAfterMs
  }
}

export interface AttemptOptions {
  readonly patience: Patience
  readonly signal?: AbortSignal | undefined
}

/** Does something until it succeeds or is no longer worth trying. @throws its last Problem; CANCELLED */
export async function retrying<T>(work: () => Promise<T>, options: AttemptOptions): Promise<T> {
  const attempts = new Attempts(options)
  for (;;) {
    try {
      return await work()
    } catch (error) {
      await attempts.pauseAfter(error)
    }
  }
}

/** Counts failures and spaces them out. */
export class Attempts {
  readonly #patience: Patience
  readonly #signal: AbortSignal | undefined
  #failures = 0
  #since = 0

  constructor({ patience, signal }: AttemptOptions) {
    this.#patience = patience
    this.#signal = signal
  }

  /** Something was gained: earlier failures no longer count. */
  progressed(): void {
    this.#failures = 0
  }

  /** Waits until it is time to try again. @throws the error when that is not worth it; Problem CANCELLED */
  async pauseAfter(error: unknown): Promise<void> {
    throwIfCancelled(this.#signal)
    if (!(error instanceof PassingProblem)) throw error
    if (this.#failures === 0) this.#since = performance.now()
    this.#failures++
    const pauseMs = Math.max(this.#backOff(), error.retryAfterMs ?? 0)
    const spent = performance.now() - this.#since
    if (this.#failures >= this.#patience.tries || spent + pauseMs > this.#patience.totalMs) throw error
    // It only fails when it is cut short, which is told below.
    await sleep(pauseMs, undefined, this.#signal === undefined ? {} : { signal: this.#signal }).catch(() => {})
    throwIfCancelled(this.#signal)
  }

  #backOff(): number {
    const { firstPauseMs, longestPauseMs } = this.#patience
    // Many clients that a registry has thrown out at once must not come back at once.
    return Math.min(longestPauseMs, firstPauseMs * 2 ** (this.#failures - 1)) * (0.5 + Math.random())
  }
}

/** Waits for what others may wait for too: it goes on when one of them no longer does. @throws Problem CANCELLED */
export async function unlessCancelled<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await work
  // Nobody may be left to hear of it.
  work.catch(() => {})
  throwIfCancelled(signal)
  const heard = new AbortController()
  const stopped = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(cancelled(signal)), { signal: heard.signal })
  })
  try {
    return await Promise.race([work, stopped])
  } finally {
    heard.abort()
  }
}

export function throwIfCancelled(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw cancelled(signal)
}

export function cancelled(signal?: AbortSignal): Problem {
  return new Problem('CANCELLED', 'the conversation was stopped on request', {
    cause: signal?.reason,
  })
}
