import type { Bytes } from '../accounting/space.ts'

/**
 * What may become of a file. `changed`: it may get the blocks of others. `kept`: others may get its blocks. `counted`: only that it has them.
 */
export type FileRole = 'changed' | 'kept' | 'counted'

export interface DedupeFile {
  readonly path: string
  readonly inode: number
  readonly logicalBytes: number
  readonly allocatedBytes: number
  /** st_ctime, milliseconds since the epoch. */
  readonly changedAt: number
  readonly role: FileRole
}

/** What the thread is given. All files are of one filesystem; of two that have the same bytes, the earlier one keeps its own. */
export interface DedupeJob {
  readonly root: string
  readonly files: readonly DedupeFile[]
  /** A directory where hashes are kept, a file for each of `files` that is not only counted. */
  readonly hashes: string
  /** Exists, and is this job's own. */
  readonly staging: string
  readonly dryRun: boolean
  /** Bytes that are read in a second, at most. */
  readonly rate?: number | undefined
}

/** `hash`: reading what is not known from before. `share`: having it only once. */
export type DedupePhase = 'hash' | 'share'

/** What the thread tells on its way, in bytes. */
export interface DedupeStep {
  readonly phase: DedupePhase
  readonly done: number
  readonly total: number
}

export interface DedupeOutcomeOfFile {
  /** Bytes of the file that have the blocks of others now, or will. */
  readonly sharedBytes: number
  /** Bytes on disk that go with that. */
  readonly freedBytes: number
}

export interface DedupeResult {
  readonly accuracy: 'exact' | 'bounds'
  readonly predicted: Bytes
  /** By file. */
  readonly files: readonly DedupeOutcomeOfFile[]
  /** Read and hashed now; what was known already was not read. */
  readonly readBytes: number
  readonly knownBytes: number
  /** Was shared; was not the same any more; was refused by the filesystem. Not in a dry run. */
  readonly done?: Readonly<Record<'shared' | 'differs' | 'refused', number>>
  /** By how much less of the filesystem is used. */
  readonly reclaimedBytes?: number
}
