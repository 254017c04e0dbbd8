import { RecordWriter } from '../records/record-writer.ts'
import { type ChunkIndex, leafBytes } from './chunk-index.ts'
import { indexMagic, indexVersion } from './index-format.ts'
import { writeStoredPart } from './stored-part.ts'

/** The bytes of a chunk index: the same index gives the same bytes. @see index-format.ts */
export function encodeChunkIndex({ writerVersion, profile, parts, leaves }: ChunkIndex): Buffer {
  const out = new RecordWriter()
  out.raw(indexMagic)
  out.uint32(indexVersion)
  out.number(writerVersion)
  out.bytes(Buffer.from(profile))
  out.number(leafBytes)
  out.number(parts.length)
  for (const part of parts) writeStoredPart(out, part)
  out.raw(leaves)
  return Buffer.from(out.take())
}
