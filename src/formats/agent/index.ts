/**
 * formats/agent: what the host and the agent in a guest say to each other, as bytes. docs/agent-protocol.md is its specification.
 *
 * Promises: a guest is not trusted; every length is bounded before anything is allocated, and whatever is not in the specification is a
 * Problem AGENT_PROTOCOL.
 * Never: knows a socket, or in which order frames may come (that is wires/agent).
 */
export { type AgentMessage, decodeAgentMessage, encodeAgentMessage } from './agent-message.ts'
export { type BootFailure, bootFailures, findBootFailure } from './boot-failures.ts'
export { DirectoryEntries, encodeDirectoryEntry, type GuestEntry } from './directory-entries.ts'
export { encodeFrame, type Frame, FrameParser } from './frame-parser.ts'
export { encodeStat, type GuestStat } from './guest-stat.ts'
export { decodeHostMessage, encodeHostMessage, type HostMessage } from './host-message.ts'
export { errnoName, errnoNumber, isMissing } from './linux-errors.ts'
export { signalName, signalNumber } from './linux-signals.ts'
export { agentLimits, agentStreams, frameTypes, protocolVersion } from './protocol.ts'
export { decodeLinkTarget, decodePid, decodeStatReply, decodeTrimmedBytes } from './replies.ts'
export { encodeSync, NonceFinder } from './sync.ts'
