/**
 * formats/snapshot-file: a snapshot as one stream of bytes, which another host can make it from.
 *
 * Belongs here: what comes in which order, and how it is proved. It is a tar archive, so that a disk can be had of it without cowshed.
 * Promises: what is read is exactly what was written, or a Problem is thrown; what comes before the end of a part may yet be found to be wrong.
 * Never: knows what is in a record, opens a file, compresses.
 */
export { type ReadSnapshotFile, readSnapshotFile, type SnapshotFileStep } from './read-snapshot-file.ts'
export { type SnapshotFileHeader, snapshotFileInvalid } from './snapshot-file-header.ts'
export { type SnapshotFilePart, type WriteSnapshotFile, writeSnapshotFile } from './write-snapshot-file.ts'
