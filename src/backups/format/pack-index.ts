import { encodePackedChunk, packedChunkBytes } from './chunk.ts'
import { saltBytes } from './object-cipher.ts'
import { decodeEntries, maxChunksInPack, type PackTable } from './pack.ts'

const nameBytes = 16
const headBytes = nameBytes + saltBytes + 4

/** The tables of many packs as one object: a copy of what the packs say of themselves, for whoever would have to ask each of them. */
export function encodePackIndex(tables: readonly PackTable[]): Buffer {
  return Buffer.concat(tables.flatMap(encodeTable))
}

function encodeTable({ pack, salt, chunks }: PackTable): Buffer[] {
  const count = Buffer.alloc(4)
  count.writeUInt32LE(chunks.length)
  return [Buffer.from(pack, 'hex'), salt, count, ...chunks.map(encodePackedChunk)]
}

/** @returns undefined when no writer writes that */
export function decodePackIndex(bytes: Buffer): PackTable[] | undefined {
  const tables: PackTable[] = []
  for (let at = 0; at < bytes.length; ) {
    const start = at + headBytes
    if (start > bytes.length) return undefined
    const count = bytes.readUInt32LE(start - 4)
    const end = start + count * packedChunkBytes
    if (count > maxChunksInPack || end > bytes.length) return undefined
    const chunks = decodeEntries(bytes.subarray(start, end))
    if (chunks === undefined) return undefined
    const salt = Buffer.from(bytes.subarray(at + nameBytes, start - 4))
    tables.push({ pack: bytes.toString('hex', at, at + nameBytes), salt, chunks })
    at = end
  }
  return tables
}
