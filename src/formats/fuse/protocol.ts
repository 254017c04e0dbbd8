/** The numbers of the FUSE protocol, by the names of the kernel. In the byte order of the host: little-endian on all that cowshed runs on. */
export const fuseVersion = { major: 7, minor: 40 } as const

export const fuseOpcodes = {
  forget: 2,
  getAttributes: 3,
  open: 14,
  read: 15,
  write: 16,
  statfs: 17,
  release: 18,
  init: 26,
  access: 34,
  interrupt: 36,
  destroy: 38,
  batchForget: 42,
  seek: 46,
} as const

/** What the kernel can do, and what of it the server wants: flags and flags2 as one number of 64 bits. */
export const fuseFeatures = {
  asyncRead: 1n << 0n,
  maxPages: 1n << 22n,
  /** flags2 counts. */
  extended: 1n << 30n,
  passthrough: 1n << 37n,
} as const

/** noFlush: whoever closes it need not tell, and wait. */
export const fuseOpenFlags = { keepCache: 1 << 1, noFlush: 1 << 5, passthrough: 1 << 7 } as const

/** Of lseek(2). */
export const fuseWhence = { data: 3, hole: 4 } as const

/** The numbers of Linux, which are the same wherever cowshed runs. */
export const fuseErrors = {
  interrupted: 4,
  io: 5,
  noDeviceAddress: 6,
  invalid: 22,
  readOnly: 30,
  notImplemented: 38,
} as const

export const fuseLimits = {
  /** What the kernel wants to be read at least: no request of a server that is not written to is longer, save attributes, which it refuses by itself. */
  requestBytes: 8192,
  /** Of one read: 256 pages, the most that Linux allows. */
  readBytes: 1 << 20,
} as const
