import { rmSync } from 'node:fs'
import { DatabaseSync, type DatabaseSyncInstance, type StatementSyncInstance } from '@photostructure/sqlite'
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

/**
 * Opens the event log in the index database. The database is derived: one that is damaged or has another shape is deleted and begun anew; one
 * that cannot be opened, on a full disk for one, is left alone, and events are kept in memory, for without its daemon nobody can free space.
 *
 * @param path of the SQLite file; `:memory:` in tests
 */
export function openEventLog(path: string): EventLog {
  const { db, problem } = openDatabase(path)
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
      db.close()
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

interface Opened {
  readonly db: DatabaseSyncInstance
  /** Why it is one in memory. */
  readonly problem?: string
}

function openDatabase(path: string): Opened {
  try {
    return { db: tryOpen(path) }
  } catch (error) {
    if (!isDamaged(error)) return inMemory(path, error)
  }
  try {
    for (const suffix of ['', '-wal', '-shm']) rmSync(`${path}${suffix}`, { force: true })
    return { db: tryOpen(path) }
  } catch (error) {
    return inMemory(path, error)
  }
}

function inMemory(path: string, error: unknown): Opened {
  const problem = `events are kept in memory until the daemon ends: cannot open the index ${path}: ${String(error)}`
  return { db: tryOpen(':memory:'), problem }
}

/** SQLITE_ERROR, for another shape, SQLITE_CORRUPT and SQLITE_NOTADB: https://sqlite.org/rescode.html */
function isDamaged(error: unknown): boolean {
  return [1, 11, 26].includes((error as { errcode?: number }).errcode ?? 0)
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
