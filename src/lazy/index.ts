/**
 * lazy: a lower that is not all here yet.
 *
 * Belongs here: the leaves that are here, fetching those that are not, what becomes of reads while the registry is away; what boots have read, and fetching it before the
 * next one does; the directories that all of it is in.
 * Promises: every byte that is given was verified since this process began, whatever it came from and whatever became of the cache; a read ends in the right bytes
 * or in a Problem within the policy, never in anything else.
 * Never: resolves a reference, listens on a socket, knows what a shed is.
 */
export type { LazyCounters } from './counters.ts'
export { BlobsAhead, type StoredBlob } from './fetch/blobs-ahead.ts'
export type { OriginState, OutageListener, OutagePolicy } from './fetch/outage.ts'
export type { LocalPart, ReadStored } from './fetch/part-origins.ts'
export {
  blobOf,
  forgetWhole,
  holdLazyDirectory,
  holdWhole,
  type KnownLower,
  LazySource,
  type LazyUse,
  lazyUses,
  listLazyLowers,
  noteLazySource,
  notePlainSource,
  noteWhole,
  noteWrong,
  readLazyIndex,
  readLazySource,
  readStoredIndex,
  readWrong,
  removeLazyLower,
  type StoredIndex,
  type WrongLower,
  wrongLower,
} from './lazy-directory.ts'
export type { LeafHeat } from './leaf-heat.ts'
export { findWholeParts, lookAtLeaves, type SeenLeaves } from './look-at-leaves.ts'
export { type CachedPart, type CachedParts, openCachedParts } from './open-cached-parts.ts'
export { type FillOptions, type LazyLower, type OpenLazyLower, openLazyLower } from './open-lazy-lower.ts'
export { type OpenPlainLower, openPlainLower } from './plain/open-plain-lower.ts'
export { plainIndexOf } from './plain/plain-index.ts'
export { defaultTrace, type OpenedTrace, openTrace } from './trace/open-trace.ts'
export { listBootTraces, type NamedTrace, readBootTrace, writeBootTrace } from './trace/trace-files.ts'
export { TraceKeeper } from './trace/trace-keeper.ts'
