import {
  CreateSnapshotRequest,
  ExportSnapshotQuery,
  ImportSnapshotQuery,
  ImportSnapshotReply,
  ListSnapshotsReply,
  Snapshot,
  SnapshotDetail,
} from '../snapshots.ts'
import { ForceQuery } from './force-query.ts'
import { archiveCodes, shedCodes, snapshotReadCodes } from './problem-codes.ts'
import type { RouteTable } from './route-spec.ts'

export const snapshotRoutes = {
  listSnapshots: {
    kind: 'json',
    summary: 'Every snapshot, broken ones included',
    reply: ListSnapshotsReply,
    codes: [],
  },
  createSnapshot: {
    kind: 'work',
    summary:
      "Keep a shed's disks as they are now, volumes that it writes to included, and its memory if asked for; a running guest cannot write meanwhile",
    body: CreateSnapshotRequest,
    reply: Snapshot,
    codes: [
      ...shedCodes,
      'SNAPSHOT_ALREADY_EXISTS',
      'VOLUME_NOT_FOUND',
      'VOLUME_IN_USE',
      'AGENT_UNREACHABLE',
      'GUEST_FAILED',
      'SHED_NOT_RUNNING',
      'MACHINE_FAILED',
      'MEMORY_DAMAGED',
      'NO_SPACE',
    ],
  },
  getSnapshot: {
    kind: 'json',
    summary: 'One snapshot, and whether what its disk lies over is here',
    reply: SnapshotDetail,
    codes: ['SNAPSHOT_NOT_FOUND'],
  },
  removeSnapshot: {
    kind: 'json',
    summary: 'Remove a snapshot; one whose record or disk is missing only with force',
    query: ForceQuery,
    codes: ['SNAPSHOT_NOT_FOUND', 'SNAPSHOT_BUSY', 'PINNED', 'RECORD_INVALID'],
  },
  protectSnapshot: {
    kind: 'json',
    summary: 'Keep a snapshot from being removed by anything',
    reply: Snapshot,
    codes: ['SNAPSHOT_NOT_FOUND'],
  },
  unprotectSnapshot: {
    kind: 'json',
    summary: 'Let a protected snapshot go again',
    reply: Snapshot,
    codes: ['SNAPSHOT_NOT_FOUND'],
  },
  exportSnapshot: {
    kind: 'download',
    summary: 'A snapshot as one file for another host, with its image if that is asked for',
    query: ExportSnapshotQuery,
    download: 'application/zstd',
    codes: ['SNAPSHOT_NOT_FOUND', 'RECORD_INVALID', ...snapshotReadCodes, 'IMAGE_NOT_FOUND', 'IMAGE_INCOMPLETE'],
  },
  importSnapshot: {
    kind: 'work',
    summary: 'Make a snapshot of such a file; there is all of it, proved, or none',
    query: ImportSnapshotQuery,
    upload: 'application/zstd',
    reply: ImportSnapshotReply,
    codes: ['SNAPSHOT_FILE_INVALID', 'SNAPSHOT_ALREADY_EXISTS', ...archiveCodes],
  },
} as const satisfies RouteTable
