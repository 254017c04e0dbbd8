import type { DatabaseSyncInstance, StatementSyncInstance } from '@photostructure/sqlite'
import type { CowshedEvent } from '../contract/index.ts'
import { closeIndexDb, type OpenedDb, openIndexDb } from './open-index-db.ts'

export interface NewEvent {
  /** What happened: `shed.started`. */
  readonly type: string
  /** Name of what it happened to. */
  readonly subject: string
  /** For people, one line. */
  readonly message: string
  readonly data?: Record<string, unknown> | undefined
}

export interface EventLog {
  /** Records an event and hands it to every subscriber. Never throws: neither a full disk nor a listener may fail what the event is about. */
  append(event: NewEvent): void
  /** The newest `limit` events with a seq above `after`, oldest first. */
  read(query: { readonly after?: number; readonly limit: number }): CowshedEvent[]
  /** @returns how to stop listening */
  subscribe(listener: (event: CowshedEvent) => void): () => void
  close(): void
}

/** Events beyond this many are forgotten, oldest first. */
const kept = 100_000
/** Rows may exceed `kept` by this many before the oldest are deleted, so that not every append pays for it. */
const slack = 1_000

interface EventRow {
  readonly seq: number
  readonly at: string
  readonly type: string
  readonly subject: string
  readonly message: string
  readonly data: string | null
}

/** Opens the event log alone. @see openIndex */
export function openEventLog(path: string): EventLog {
  return eventLogOn(openIndexDb(path), path)
}

/** The event log in an open index database, which is closed with it. */
export function eventLogOn({ db, problem }: OpenedDb, path: string): EventLog {
  const insert = db.prepare('INSERT INTO events (seq, at, type, subject, message, data) VALUES (?, ?, ?, ?, ?, ?)')
  const select = db.prepare('SELECT * FROM (SELECT * FROM events WHERE seq > ? ORDER BY seq DESC LIMIT ?) ORDER BY seq')
  const trim = db.prepare('DELETE FROM events WHERE seq <= ?')
  const listeners = new Set<(event: CowshedEvent) => void>()
  /** Counted here, so that events that could not be written have numbers of their own too. */
  let lastSeq = newestSeq(db)

  const log: EventLog = {
    append(event) {
      const at = new Date().toISOString()
      lastSeq++
      unlessDiskFails(() => insertEvent(insert, { seq: lastSeq, at, ...event }))
      if (lastSeq % slack === 0) unlessDiskFails(() => trim.run(lastSeq - kept))
      const { data, ...rest } = event
      const recorded: CowshedEvent = { seq: lastSeq, at, ...rest, ...(data === undefined ? {} : { data }) }
      for (const listener of listeners) tell(listener, recorded)
    },
    read: ({ after = 0, limit }) => (select.all(after, limit) as unknown as EventRow[]).map(eventOfRow),
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    close() {
      listeners.clear()
      closeIndexDb(db)
    },
  }
  if (problem !== undefined) log.append({ type: 'events.unsaved', subject: path, message: problem })
  return log
}

function newestSeq(db: DatabaseSyncInstance): number {
  const row = db.prepare('SELECT max(seq) AS newest FROM events').get() as { newest: number | null } | undefined
  return row?.newest ?? 0
}

/** On a full or failing disk subscribers still get the event, and the log goes on when there is space again. */
function unlessDiskFails(write: () => unknown): void {
  try {
    write()
  } catch {
    // Records are the truth; events are told of it.
  }
}

/** A listener that fails is not told of its failure here, where something else is under way, but as a defect of the program. */
function tell(listener: (event: CowshedEvent) => void, event: CowshedEvent): void {
  try {
    listener(event)
  } catch (error) {
    void Promise.reject(error)
  }
}

function insertEvent(insert: StatementSyncInstance, event: NewEvent & { readonly seq: number; readonly at: string }) {
  const data = event.data === undefined ? null : JSON.stringify(event.data)
  insert.run(event.seq, event.at, event.type, event.subject, event.message, data)
}

function eventOfRow({ data, ...row }: EventRow): CowshedEvent {
  return { ...row, ...(data === null ? {} : { data: JSON.parse(data) as Record<string, unknown> }) }
}
