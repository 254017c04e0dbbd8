/** The numbers of the NBD protocol, by the names of its specification. Big-endian on the wire. */
export const nbdMagic = {
  greeting: 0x4e42444d41474943n,
  option: 0x49484156454f5054n,
  optionReply: 0x0003e889045565a9n,
  request: 0x25609513,
  simpleReply: 0x67446698,
  structuredReply: 0x668e33ef,
} as const

/** What a server says of its handshake; a client's flags have the same bits. */
export const nbdClientFlags = { fixedNewstyle: 1, noZeroes: 2 } as const

export const nbdOptions = {
  exportName: 1,
  abort: 2,
  list: 3,
  info: 6,
  go: 7,
  structuredReply: 8,
  listMetaContext: 9,
  setMetaContext: 10,
} as const

export const nbdOptionReplies = {
  ack: 1,
  server: 2,
  info: 3,
  metaContext: 4,
  unsupported: 0x8000_0001,
  invalid: 0x8000_0003,
  unknown: 0x8000_0006,
} as const

export const nbdInfo = { export: 0, blockSize: 3 } as const

export const nbdTransmissionFlags = {
  hasFlags: 1 << 0,
  readOnly: 1 << 1,
  sendDf: 1 << 7,
  canMultiConn: 1 << 8,
  sendCache: 1 << 10,
} as const

export const nbdCommands = {
  read: 0,
  write: 1,
  disconnect: 2,
  flush: 3,
  trim: 4,
  cache: 5,
  writeZeroes: 6,
  blockStatus: 7,
} as const

export const nbdCommandFlags = { reqOne: 1 << 3 } as const

/** The specification's own numbers, whatever the system calls them. */
export const nbdErrors = { permission: 1, io: 5, invalid: 22, notSupported: 95 } as const

export const nbdExtentFlags = { hole: 1, zero: 2 } as const

/** Of a chunk of a structured reply. */
export const nbdChunks = { none: 0, offsetData: 1, blockStatus: 5, error: 0x8001 } as const
/** The last chunk of a reply. */
export const nbdChunkDone = 1

export const nbdLimits = {
  /** Of the data of an option: a name may have 4096 bytes, and a query for contexts may name several. */
  optionBytes: 16 * 1024,
  /** Options of one handshake: nobody needs more, and each is an answer. */
  options: 64,
  nameBytes: 4096,
  /** Of one read: what every client may assume. */
  readBytes: 32 << 20,
  /** Extents of one answer to block status. */
  extents: 1024,
} as const
