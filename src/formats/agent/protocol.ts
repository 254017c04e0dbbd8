/** Raised when a host and an agent of different versions could misunderstand each other. */
export const protocolVersion = 1

/** The numbers of guest/src/protocol.h; a test compares the two. */
export const agentLimits = {
  headerBytes: 12,
  maxPayload: 65_536,
  keyBytes: 16,
  nonceBytes: 16,
  maxChannels: 128,
  /** What may be under way without credit, per output stream (agent → host) and per channel (host → agent). */
  outputWindow: 262_144,
  inputWindow: 65_536,
} as const

export const frameTypes = {
  // host → agent: each of these opens a channel
  EXEC: 1,
  STAT: 2,
  LIST: 3,
  READ: 4,
  WRITE: 5,
  MKDIR: 6,
  REMOVE: 7,
  SYMLINK: 8,
  READLINK: 9,
  SYNC: 10,
  FREEZE: 11,
  THAW: 12,
  TRIM: 13,
  CLOCK: 14,
  IDENTITY: 15,
  POWEROFF: 16,
  MOUNT: 17,
  GROW: 18,
  BEGIN: 19,
  // host → agent: on an open channel
  INPUT: 32,
  INPUT_END: 33,
  OUTPUT_CREDIT: 34,
  RESIZE: 35,
  SIGNAL: 36,
  CANCEL: 37,
  // agent → host: on channel 0
  HELLO: 64,
  READY: 65,
  FAULT: 66,
  // agent → host: on an open channel; OK, ERROR and EXIT end it
  OK: 67,
  ERROR: 68,
  STARTED: 69,
  OUTPUT: 70,
  OUTPUT_END: 71,
  INPUT_CREDIT: 72,
  EXIT: 73,
} as const

export const agentStreams = { stdout: 1, stderr: 2 } as const
