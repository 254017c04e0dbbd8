/**
 * wires: conversations.
 *
 * Belongs here: the protocol clients and servers of cowshed: QEMU's monitor, the guest agent, registries, S3, forwarded ports, NBD, FUSE.
 * Promises: whatever the other side sends, the answer is a value or a Problem, within bounds of memory and time.
 * Never: knows what a shed is; starts a process; keeps state beyond one conversation.
 */
export * from './agent/index.ts'
export * from './files/index.ts'
export * from './fuse/index.ts'
export * from './nbd/index.ts'
export * from './patience/index.ts'
export * from './ports/index.ts'
export * from './qmp/index.ts'
export * from './registry/index.ts'
export * from './s3/index.ts'
