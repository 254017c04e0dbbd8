import type { OnProgress } from '../../base/index.ts'

/** Counts what a verification has read, and tells of it item by item. */
export class VerifyProgress {
  readonly #onProgress: OnProgress | undefined
  readonly #items = new Map<string, { done: number; readonly total: number }>()
  bytes = 0

  constructor(onProgress: OnProgress | undefined) {
    this.#onProgress = onProgress
  }

  /** Announces an item before any is read, so that the whole is known. */
  expect(item: string, total: number): void {
    this.#items.set(item, { done: 0, total })
    this.#onProgress?.({ phase: 'verify', item, done: 0, total })
  }

  /** How to say that more bytes of an item were read. */
  of(item: string): (bytes: number) => void {
    const state = this.#items.get(item) ?? { done: 0, total: 0 }
    return (bytes) => {
      this.bytes += bytes
      state.done = Math.min(state.total, state.done + bytes)
      this.#onProgress?.({ phase: 'verify', item, ...state })
    }
  }
}
