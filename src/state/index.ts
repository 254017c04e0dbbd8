/**
 * state: what is remembered.
 *
 * Belongs here: records as files, which are the truth, and the SQLite index beside them, which is derived.
 * Promises: a record is read whole and valid or not at all; the index may be deleted at any time.
 * Never: knows what a record is about.
 */
export { type EventLog, type NewEvent, openEventLog } from './event-log.ts'
export { encodeRecord, readRecord, writeRecord } from './record.ts'
