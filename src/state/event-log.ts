import { rmSync } from 'node:fs'
import { DatabaseSync, type DatabaseSyncInstance, type StatementSyncInstance } from '@photostructure/sqlite'
import { Problem } from '../base/index.ts'
import type { CowshedEvent } from '../contract/index.ts'

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
  /** Records an event and hands it to every subscriber. Never throws: a full disk must not fail what the event is about. */
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

/**
 * Opens the event log in the index database. The database is derived: one that cannot be opened or has another shape is deleted and begun anew.
 *
 * @param path of the SQLite file; `:memory:` in tests
 * @throws Problem IO_FAILED when not even a new database can be made
 */
export function openEventLog(path: string): EventLog {
  const db = openDatabase(path)
  const insert = db.prepare(
    'INSERT INTO events (at, type, subject, message, data) VALUES (?, ?, ?, ?, ?) RETURNING seq',
  )
  const select = db.prepare('SELECT * FROM (SELECT * FROM events WHERE seq > ? ORDER BY seq DESC LIMIT ?) ORDER BY seq')
  const trim = db.prepare('DELETE FROM events WHERE seq <= ?')
  const listeners = new Set<(event: CowshedEvent) => void>()
  /** Numbers events that could not be written, so that listeners still see them in order. */
  let lastSeq = 0

  return {
    append(event) {
      const at = new Date().toISOString()
      lastSeq = insertEvent(insert, at, event) ?? lastSeq + 1
      if (lastSeq % slack === 0) trim.run(lastSeq - kept)
      const { data, ...rest } = event
      const recorded: CowshedEvent = { seq: lastSeq, at, ...rest, ...(data === undefined ? {} : { data }) }
      for (const listener of listeners) listener(recorded)
    },
    read: ({ after = 0, limit }) => (select.all(after, limit) as unknown as EventRow[]).map(eventOfRow),
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    close() {
      listeners.clear()
      db.close()
    },
  }
}

function insertEvent(insert: StatementSyncInstance, at: string, event: NewEvent): number | undefined {
  const data = event.data === undefined ? null : JSON.stringify(event.data)
  try {
    const row = insert.get(at, event.type, event.subject, event.message, data) as { seq: number } | undefined
    return row?.seq
  } catch {
    // A full or failing disk: subscribers still get the event, and the log goes on when there is space again.
    return undefined
  }
}

function eventOfRow({ data, ...row }: EventRow): CowshedEvent {
  return { ...row, ...(data === null ? {} : { data: JSON.parse(data) as Record<string, unknown> }) }
}

function openDatabase(path: string): DatabaseSyncInstance {
  try {
    return tryOpen(path)
  } catch {
    for (const suffix of ['', '-wal', '-shm']) rmSync(`${path}${suffix}`, { force: true })
  }
  try {
    return tryOpen(path)
  } catch (error) {
    throw new Problem('IO_FAILED', `cannot open the index ${path}: ${String(error)}`, { cause: error })
  }
}

function tryOpen(path: string): DatabaseSyncInstance {
  const db = new DatabaseSync(path)
  try {
    // NORMAL with WAL never corrupts; a power cut may lose the newest events, which the records do not depend on.
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 2000')
    db.exec(
      'CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, type TEXT NOT NULL, subject TEXT NOT NULL, message TEXT NOT NULL, data TEXT) STRICT',
    )
    db.prepare('SELECT seq, at, type, subject, message, data FROM events LIMIT 1').all()
    return db
  } catch (error) {
    db.close()
    throw error
  }
}
