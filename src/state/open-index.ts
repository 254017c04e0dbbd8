import { type EventLog, eventLogOn } from './event-log.ts'
import { openIndexDb } from './open-index-db.ts'
import { type UsageHistory, usageHistoryOn } from './usage-history.ts'

/** All that the index database holds. */
export interface Index {
  /** Closing it closes the index. */
  readonly events: EventLog
  readonly history: UsageHistory
}

/** Opens the index of a data directory; what it cannot keep on disk it keeps in memory, and says so. @see openIndexDb */
export function openIndex(path: string): Index {
  const opened = openIndexDb(path)
  return { events: eventLogOn(opened, path), history: usageHistoryOn(opened.db) }
}
