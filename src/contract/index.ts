/**
 * contract: the HTTP API as zod.
 *
 * Belongs here: requests, replies, events, error replies; the daemon validates with them, OpenAPI and the CLI's types come from them.
 * Promises: bytes are integers, times are ISO 8601 in UTC, names are snake_case.
 * Never: does anything.
 */
export * from './backups.ts'
export * from './dedupe.ts'
export * from './endpoints.ts'
export * from './errors.ts'
export * from './exec.ts'
export * from './exec-streams.ts'
export * from './files.ts'
export * from './image-history.ts'
export * from './images.ts'
export * from './lazy.ts'
export * from './lazy-reading.ts'
export * from './limits.ts'
export * from './open-api.ts'
export * from './path-parameters.ts'
export * from './prune-parameters.ts'
export * from './routes.ts'
export * from './secrets.ts'
export * from './server.ts'
export * from './sheds.ts'
export * from './snapshots.ts'
export * from './texts.ts'
export * from './thermal.ts'
export * from './tokens.ts'
export * from './trim.ts'
export * from './usage.ts'
export * from './verify.ts'
export * from './volume-mounts.ts'
export * from './volumes.ts'
