/**
 * host: this machine.
 *
 * Belongs here: whatever asks the kernel or another program for something: files made durable, locks, clones, processes, compression.
 * Promises: a call has done all that its name says, or throws a Problem and has left nothing behind. Importing this door loads nothing.
 * Never: knows what a shed or an image is.
 */
export { type Allocation, allocation } from './allocation.ts'
export { type Assembled, assembleFile, type FilePart } from './assemble-file.ts'
export { bootId } from './boot-id.ts'
export { type Cloned, type CloneStrategy, cloneFile, reflinkFile } from './clone-file.ts'
export { collapseHead } from './collapse-head.ts'
export { type CompressWithoutZeros, compressWithoutZeros } from './compress-without-zeros.ts'
export { type Compression, sniffCompression } from './compression.ts'
export { type CopyWithoutZeros, copyWithoutSum, copyWithoutZeros, type WithoutZeros } from './copy-without-zeros.ts'
export { dataSegments, type Segment } from './data-segments.ts'
export { type DecompressOptions, decompress } from './decompress.ts'
export { type DedupeOutcome, dedupeRange } from './dedupe-range.ts'
export { type DeletedOpenFile, deletedOpenFiles } from './deleted-open-files.ts'
export { DirectFile } from './direct-file.ts'
export { alignedBuffer } from './direct-io.ts'
export {
  type Accuracy,
  type ExtentFile,
  type ExtentSource,
  type Extents,
  extentList,
  mark,
} from './extents/extent-source.ts'
export type { FileMap } from './extents/file-map.ts'
export { type FilesystemSpace, measureSpace, releaseReservations, settleFilesystem } from './extents/measure-space.ts'
export { openExtentSource } from './extents/open-extent-source.ts'
export { type FileMapper, openFileMapper } from './extents/open-file-mapper.ts'
export { unsharedBytes } from './extents/unshared-bytes.ts'
export { usedByFiles } from './extents/used-by-files.ts'
export { FileGrowth, type GrowingFile, readGrowingFile } from './file-growth.ts'
export { type FileLook, fileLook } from './file-look.ts'
export { fileStatus } from './file-status.ts'
export { type Filesystem, filesystemOf, sweepProbes } from './filesystem-of.ts'
export { fillFile, type PlacedPart } from './fill-file.ts'
export { giveWay } from './give-way.ts'
export { idleInputOutput } from './idle-input-output.ts'
export { type InflateWithoutZeros, inflateWithoutZeros } from './inflate-without-zeros.ts'
export { installDirectory } from './install-directory.ts'
export { type InstallFile, installFile, syncFile } from './install-file.ts'
export { killProcess, type ProcessIdentity } from './kill-process.ts'
export { leaveUncompressed } from './leave-uncompressed.ts'
export { openZstdCompressor, type ZstdCompressor, zstdVersion } from './libzstd.ts'
export { type ListeningSocket, listenOnUnix } from './listen-on-unix.ts'
export { type FileLock, isLocked, type LockOptions, lockFile } from './lock-file.ts'
export { lockHolders } from './lock-holders.ts'
export { type LockedRange, lockRange, unlockRange } from './lock-range.ts'
export { type FuseMount, type MountFuse, mountFuse, unmountFile } from './mount-fuse.ts'
export { type Mount, mountedAt } from './mounted-at.ts'
export { namesIn } from './names-in.ts'
export {
  isBeingMade,
  openStaging,
  type Staging,
  staleStaging,
  sweepStaging,
  sweepStaleStaging,
} from './open-staging.ts'
export { openWorker, type WorkerService } from './open-worker.ts'
export { processCpuMs } from './process-cpu-ms.ts'
export { processStartTime } from './process-start-time.ts'
export { punchHole } from './punch-hole.ts'
export { type FileHead, readFileHead } from './read-file-head.ts'
export { readSmallFile } from './read-small-file.ts'
export { isReadable, untilReadable } from './readable.ts'
export { type RemoveDirectory, removeDirectory } from './remove-directory.ts'
export { type RunInWorker, runInWorker } from './run-in-worker.ts'
export { type RunToolOptions, runTool, type ToolResult } from './run-tool.ts'
export { isAsSeen, isSettled, type SeenFile, type SeenFiles } from './seen-file.ts'
export { serveCalls } from './serve-calls.ts'
export { serveWorker } from './serve-worker.ts'
export { type DetachedProcess, type SpawnDetached, spawnDetached } from './spawn-detached.ts'
export { syncDirectory } from './sync-directory.ts'
export { whileStopped } from './while-stopped.ts'
export { within } from './within.ts'
export { writeFileAtomically } from './write-file-atomically.ts'
export { writeSparse } from './write-sparse.ts'
export { writeWhole } from './write-whole.ts'
export { zstd, zstdFrames } from './zstd.ts'
