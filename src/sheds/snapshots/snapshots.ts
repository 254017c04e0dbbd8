import type { CreateSnapshotRequest, Snapshot, SnapshotDetail } from '../../contract/index.ts'

import type { ExportSnapshot } from './export-snapshot.ts'
import type { ImportedSnapshot, ImportSnapshot } from './import-snapshot.ts'
import type { FetchSnapshot, SnapshotFiles } from './restore-snapshot.ts'

/** All snapshots of one data directory. Every method that takes a name throws SNAPSHOT_NOT_FOUND for one that is not there. */
export interface Snapshots {
  /**
   * Keeps the disks of a shed as they are now, its own and, unless told otherwise, those of the volumes that it writes to. A running guest has its
   * filesystems frozen for as long as the clones take. A volume that it only reads is named.
   *
   * @throws Problem SHED_NOT_FOUND, SHED_BUSY, SHED_BROKEN, SNAPSHOT_ALREADY_EXISTS, AGENT_UNREACHABLE, GUEST_FAILED, NO_SPACE; there is nothing new then
   */
  create(request: CreateSnapshotRequest): Promise<Snapshot>
  get(name: string): Promise<SnapshotDetail>
  /** Every snapshot by name, broken ones included. */
  list(): Promise<Snapshot[]>
  /**
   * Removes a snapshot. Sheds that were made from it have disks of their own, and stay.
   *
   * @param force also what is left of one whose record or disk is missing
   * @throws Problem PINNED, RECORD_INVALID, SNAPSHOT_BUSY
   */
  remove(name: string, options: { readonly force: boolean }): Promise<void>
  /** Keeps a snapshot from being removed by anything, or lets it go again; also a broken one. */
  protect(name: string, isProtected: boolean): Promise<Snapshot>
  /** @see exportSnapshot */
  exportTo(name: string, options: ExportSnapshot): Promise<AsyncIterable<Buffer>>
  /** What a backup of it needs, until it is disposed of. @throws Problem RECORD_INVALID, SNAPSHOT_BUSY */
  files(name: string): Promise<SnapshotFiles & AsyncDisposable>
  /** @see restoreSnapshot */
  restore(name: string, fetch: FetchSnapshot): Promise<SnapshotDetail>
  /** @see importSnapshot */
  importFrom(file: ImportSnapshot): Promise<ImportedSnapshot>
}
