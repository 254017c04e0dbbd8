import type { OnProgress } from '../base/index.ts'

/** What work that takes its time is given by whoever waits for it. */
export interface LongWork {
  readonly onProgress?: OnProgress | undefined
  readonly signal?: AbortSignal | undefined
}
