/**
 * formats/nbd: what a client and a server of network block devices say to each other, as bytes.
 *
 * Belongs here: the numbers of the protocol, a parser of what clients send, the bytes of what servers answer.
 * Promises: a client is not trusted; every length is bounded before anything is allocated, and what is not in the protocol is a Problem NBD_PROTOCOL.
 * Never: knows a socket, or what is served.
 *
 * @see https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md
 */
export { type NbdMessage, NbdParser, type NbdRequest } from './nbd-parser.ts'
export { decodeExportChoice, decodeMetaQuery, type ExportChoice, type MetaQuery } from './option-data.ts'
export {
  nbdClientFlags,
  nbdCommandFlags,
  nbdCommands,
  nbdErrors,
  nbdExtentFlags,
  nbdInfo,
  nbdLimits,
  nbdOptionReplies,
  nbdOptions,
  nbdTransmissionFlags,
} from './protocol.ts'
export {
  encodeBlockSizes,
  encodeBlockStatus,
  encodeDataHeader,
  encodeExportInfo,
  encodeGreeting,
  encodeMetaContext,
  encodeNoneChunk,
  encodeOldExport,
  encodeOptionReply,
  encodeServerName,
  encodeSimpleReply,
  encodeStructuredError,
  nbdHeaderBytes,
  writeDataHeader,
  writeSimpleReply,
} from './replies.ts'
