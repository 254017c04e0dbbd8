/** What an archive may ask of its reader. Going over any of these is a Problem LIMIT_EXCEEDED. */
export interface TarLimits {
  /** Members, extension headers not counted. */
  readonly maxEntries: number
  /** Bytes of one PAX header, of all global records together, or of one GNU long name. */
  readonly maxExtensionBytes: number
  /** Bytes of the map of one sparse file, as the archive has it. */
  readonly maxSparseMapBytes: number
  /** Segments of one sparse file. */
  readonly maxSparseSegments: number
  /** Bytes of a member's name, and of a link's target. Linux allows 4096 with the NUL at the end. */
  readonly maxNameBytes: number
  /** Bytes of all xattrs of one member, names and values. */
  readonly maxXattrBytes: number
  /** Bytes of the contents of all members, holes included: a sparse file claims exabytes in one block. */
  readonly maxExpandedBytes: number
}

/** For one layer or one archive of images from anywhere. */
export const defaultTarLimits: TarLimits = {
  maxEntries: 2_000_000,
  maxExtensionBytes: 1 << 20,
  maxSparseMapBytes: 1 << 20,
  maxSparseSegments: 1 << 17,
  maxNameBytes: 4096,
  maxXattrBytes: 256 << 10,
  maxExpandedBytes: 64 * 2 ** 30,
}
