import { rmSync } from 'node:fs'
import { DatabaseSync, type DatabaseSyncInstance } from '@photostructure/sqlite'

export interface OpenedDb {
  readonly db: DatabaseSyncInstance
  /** Why it is one in memory. */
  readonly problem?: string
}

/**
 * Opens the index database. It is derived: one that is damaged or has another shape is deleted and begun anew; one that cannot be opened, on a full
 * disk for one, is left alone, and what would go there is kept in memory, for without its daemon nobody can free space.
 *
 * @param path of the SQLite file; `:memory:` in tests
 */
export function openIndexDb(path: string): OpenedDb {
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

/** Lets go of the file at once: what is closed while statements of it are there still is closed when they are collected. */
export function closeIndexDb(db: DatabaseSyncInstance): void {
  try {
    // Only so is the lock on it given up, and with the next access. https://sqlite.org/pragma.html#pragma_locking_mode
    db.exec('PRAGMA journal_mode = DELETE; PRAGMA locking_mode = NORMAL; SELECT seq FROM events LIMIT 1')
  } catch {
    // On a full disk: the next daemon has it all the same, for the lock goes with this one.
  }
  db.close()
}

function inMemory(path: string, error: unknown): OpenedDb {
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
    // Nobody else has it open. Then the index of the WAL is in memory; as a file that is mapped, index.db-shm, it ends a daemon that writes to it on a full disk (SIGBUS).
    db.exec('PRAGMA locking_mode = EXCLUSIVE')
    // NORMAL with WAL never corrupts; a power cut may lose the newest events, which the records do not depend on.
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 2000')
    db.exec(
      'CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, type TEXT NOT NULL, subject TEXT NOT NULL, message TEXT NOT NULL, data TEXT) STRICT',
    )
    db.exec(
      'CREATE TABLE IF NOT EXISTS usage_looks (at INTEGER PRIMARY KEY) STRICT; CREATE TABLE IF NOT EXISTS usage_samples (kind TEXT NOT NULL, name TEXT NOT NULL, at INTEGER NOT NULL, exclusive INTEGER, physical INTEGER, PRIMARY KEY (kind, name, at)) STRICT, WITHOUT ROWID',
    )
    db.prepare('SELECT seq, at, type, subject, message, data FROM events LIMIT 1').all()
    db.prepare('SELECT kind, name, at, exclusive, physical FROM usage_samples LIMIT 1').all()
    return db
  } catch (error) {
    db.close()
    throw error
  }
}
