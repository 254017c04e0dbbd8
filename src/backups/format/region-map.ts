/** So many chunks of a file, one after another, have one map: 256 MiB. A region in which nothing has changed has the same map. */
export const regionChunks = 1024

/** The chunks of a region that are not holes, in order. */
export interface MappedChunk {
  /** Within the region, in chunks. */
  readonly at: number
  readonly id: string
}

const entryBytes = 2 + 32

export function encodeRegionMap(chunks: readonly MappedChunk[]): Buffer {
  const bytes = Buffer.alloc(chunks.length * entryBytes)
  for (const [index, { at, id }] of chunks.entries()) {
    bytes.writeUInt16LE(at, index * entryBytes)
    bytes.write(id, index * entryBytes + 2, 'hex')
  }
  return bytes
}

/** @returns undefined when no writer writes that */
export function decodeRegionMap(bytes: Buffer): MappedChunk[] | undefined {
  if (bytes.length === 0 || bytes.length % entryBytes !== 0) return undefined
  const chunks: MappedChunk[] = []
  let last = -1
  for (let offset = 0; offset < bytes.length; offset += entryBytes) {
    const at = bytes.readUInt16LE(offset)
    if (at <= last || at >= regionChunks) return undefined
    chunks.push({ at, id: bytes.toString('hex', offset + 2, offset + entryBytes) })
    last = at
  }
  return chunks
}
