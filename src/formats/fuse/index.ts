/**
 * formats/fuse: what Linux and a server of one read-only file say to each other over /dev/fuse, as bytes.
 *
 * Belongs here: the numbers of the protocol, a parser of the kernel's requests, the bytes of the answers.
 * Promises: a request that is shorter than it must be is known as such, and nothing is read behind its end.
 * Never: opens /dev/fuse, or knows what is served.
 *
 * @see https://git.kernel.org/pub/scm/linux/kernel/git/torvalds/linux.git/tree/include/uapi/linux/fuse.h
 */
export {
  encodeFuseAttributes,
  encodeFuseError,
  encodeFuseHeader,
  encodeFuseInit,
  encodeFuseOpen,
  encodeFuseSeek,
  encodeFuseStatfs,
  type FuseAgreement,
  type FuseAttributes,
} from './fuse-replies.ts'
export { decodeFuseRequest, type FuseBody, type FuseRequest } from './fuse-request.ts'
export { fuseErrors, fuseFeatures, fuseLimits, fuseOpcodes, fuseOpenFlags, fuseWhence } from './protocol.ts'
