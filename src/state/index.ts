/**
 * state: what is remembered.
 *
 * Belongs here: records as files, which are the truth, secrets among them; and the SQLite index beside them, which is derived.
 * Promises: a record is read whole and valid or not at all; the index may be deleted at any time.
 * Never: knows what a record is about.
 */
export { type EventLog, type NewEvent, openEventLog } from './event-log.ts'
export { type Index, openIndex } from './open-index.ts'
export { openPins, type Pin, type PinSet, type Pins } from './open-pins.ts'
export { encodeRecord, readRecord, stageRecord, writeRecord } from './record.ts'
export { pinnedProblem, pinnedReason, refusePinned } from './refuse-pinned.ts'
export { openSecrets, type SecretSummary, type Secrets } from './secrets/open-secrets.ts'
export type { UsageHistory, UsageSample } from './usage-history.ts'
