/**
 * wires/fuse: a server of one file that is read and never written, over /dev/fuse.
 *
 * Belongs here: the place where it is mounted, the kernel's requests and their answers.
 * Promises: memory is bounded; what cannot be read is an error to the reader, never other bytes; whoever waits can be ended, and waits no longer than the server lives.
 * Never: knows where the bytes come from, or what is in them.
 */
export { type FuseServer, type FuseServerCounters, serveFuse } from './serve-fuse.ts'
