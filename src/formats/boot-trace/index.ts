/**
 * formats/boot-trace: what a boot reads of a lower, in its order (docs/lazy.md).
 *
 * Belongs here: boot traces as values and as bytes.
 * Promises: the same trace gives the same bytes; hostile bytes give a trace whose leaves are all in the lower that it is for, or a Problem, in memory bounded by
 * that lower and by their number.
 * Never: fetches anything, knows who reads.
 */
export { addToTrace, type BootTrace, bootTraceLimits, isTraceName, type LeafRun, leavesOf } from './boot-trace.ts'
export { decodeBootTrace, type TracedLower } from './decode-boot-trace.ts'
export { encodeBootTrace } from './encode-boot-trace.ts'
