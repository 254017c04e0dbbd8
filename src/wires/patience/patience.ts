/** How long a server is waited for, and how often it is asked again. Milliseconds. */
export interface Patience {
  /** For a connection to be made. */
  readonly connectMs: number
  /** For the next sign of life: headers, or more of a body. How long a whole body takes does not matter. */
  readonly idleMs: number
  /** Failures in a row, without anything gained between them, after which it is given up. */
  readonly tries: number
  /** The pause after the first failure; it doubles with each, and is jittered by half. */
  readonly firstPauseMs: number
  readonly longestPauseMs: number
  /** From the first of such failures on: what would have to wait beyond it is given up at once. */
  readonly totalMs: number
}

export const defaultPatience: Patience = {
  connectMs: 10_000,
  idleMs: 30_000,
  tries: 5,
  firstPauseMs: 500,
  longestPauseMs: 20_000,
  totalMs: 180_000,
}
