/** What files are cut into: the same grid for every file, so that what has not changed has the same chunks. docs/decisions/0100 says why so large. */
export const chunkBytes = 256 * 1024

/** `data` is a piece of a file, `map` says which pieces a region of a file has. */
export type ChunkKind = 'data' | 'map'

/** A chunk as it lies in a pack. */
export interface PackedChunk {
  readonly id: string
  readonly kind: ChunkKind
  /** How it is stored, before it is encrypted. */
  readonly compression: 'none' | 'zstd'
  /** Bytes in the pack, with the tag. */
  readonly storedBytes: number
  /** Bytes of the content itself. */
  readonly plainBytes: number
}

/** id, stored bytes, plain bytes, flags. */
export const packedChunkBytes = 32 + 4 + 4 + 1

export function encodePackedChunk({ id, kind, compression, storedBytes, plainBytes }: PackedChunk): Buffer {
  const bytes = Buffer.alloc(packedChunkBytes)
  bytes.write(id, 'hex')
  bytes.writeUInt32LE(storedBytes, 32)
  bytes.writeUInt32LE(plainBytes, 36)
  bytes.writeUInt8((compression === 'zstd' ? 1 : 0) | (kind === 'map' ? 2 : 0), 40)
  return bytes
}

/** @param bytes exactly packedChunkBytes of them @returns undefined when no writer writes that */
export function decodePackedChunk(bytes: Buffer): PackedChunk | undefined {
  const flags = bytes.readUInt8(40)
  const plainBytes = bytes.readUInt32LE(36)
  if (flags > 3 || plainBytes > chunkBytes) return undefined
  return {
    id: bytes.toString('hex', 0, 32),
    kind: (flags & 2) === 0 ? 'data' : 'map',
    compression: (flags & 1) === 0 ? 'none' : 'zstd',
    storedBytes: bytes.readUInt32LE(32),
    plainBytes,
  }
}
