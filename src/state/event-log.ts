import type { CowshedEvent } from '../contract/index.ts'

export interface EventLog {
  /** Records an event and hands it to every subscriber. Never throws: a full disk must not fail what the event is about. */
  append(event: {
    readonly type: string
    readonly subject: string
    readonly message: string
    readonly data?: Record<string, unknown> | undefined
  }): void
  /** The newest `limit` events with a seq above `after`, oldest first. */
  read(query: { readonly after?: number; readonly limit: number }): CowshedEvent[]
  /** @returns how to stop listening */
  subscribe(listener: (event: CowshedEvent) => void): () => void
  close(): void
}
