/**
 * formats/tar: tar archives as entries and back.
 *
 * Belongs here: reading every dialect in use (v7, ustar, GNU, PAX, star), writing ustar + PAX.
 * Promises: names, xattrs and contents stay bytes; what is passed over is warned about, what cannot be understood is a Problem; contents pass
 * through without being collected, so memory does not depend on the archive.
 * Never: touches a file, interprets a path (`..`, symlinks and whiteouts are the flattener's).
 */
export { type ReadTarMembersOptions, readTarMembers, type TarMember, type TarPiece } from './read-tar-members.ts'
export type { Segment } from './sparse-map.ts'
export { type SparseEntry, sparseTarHeader } from './sparse-tar-header.ts'
export type { TarEntry, TarHandler } from './tar-entry.ts'
export { tarEnd, tarHeader, tarPadding, type WritableEntry } from './tar-header.ts'
export { defaultTarLimits, type TarLimits } from './tar-limits.ts'
export { TarReader } from './tar-reader.ts'
