/**
 * formats: bytes to values and back.
 *
 * Belongs here: tar, cpio, OCI documents, erofs and ext4 images, LZ4 blocks, the index of a layer, the chunk index of a published lower,
 * boot traces, the agent's frames, NBD, FUSE, the file of a snapshot.
 * Promises: parsers take hostile bytes and give a value or a Problem, in bounded time and memory; writers are deterministic: same values in,
 * same bytes out, on every host.
 * Never: opens a file or a socket, starts a process, looks at the clock or at the environment.
 */
export * from './agent/index.ts'
export * from './boot-trace/index.ts'
export * from './chunk-index/index.ts'
export * from './cpio/index.ts'
export * from './erofs/index.ts'
export * from './ext4/index.ts'
export * from './fuse/index.ts'
export * from './layer/index.ts'
export * from './lz4/index.ts'
export * from './nbd/index.ts'
export * from './oci/index.ts'
export * from './rootfs/index.ts'
export * from './snapshot-file/index.ts'
export * from './tar/index.ts'
