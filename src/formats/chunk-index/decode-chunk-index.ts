import { Problem, printable } from '../../base/index.ts'
import { afterHeader } from '../records/after-header.ts'
import { RecordReader } from '../records/record-reader.ts'
import {
  type ChunkIndex,
  chunkIndexLimits,
  invalidIndex,
  leafBytes,
  leafCount,
  leafHashBytes,
  type StoredPart,
  sum,
} from './chunk-index.ts'
import { indexMagic, indexVersion } from './index-format.ts'
import { readStoredPart } from './stored-part.ts'

const maxProfileBytes = 64
const header = {
  magic: indexMagic,
  version: indexVersion,
  noun: 'chunk index',
  hint: 'a newer cowshed may know it; or pull the layers: cowshed image pull --with-layers REF',
  invalid: invalidIndex,
}

/**
 * Reads a chunk index, whose digest must have been verified. `leaves` is a view of `bytes`.
 *
 * @throws Problem CHUNK_INDEX_INVALID when it is none or contradicts itself; IMAGE_UNSUPPORTED for a version that is not known;
 *   LIMIT_EXCEEDED when it is too large
 * @see index-format.ts
 */
export function decodeChunkIndex(bytes: Buffer): ChunkIndex {
  if (bytes.length > chunkIndexLimits.bytes) {
    throw new Problem('LIMIT_EXCEEDED', `the chunk index has ${bytes.length} bytes; ${chunkIndexLimits.bytes} are read`)
  }
  const reader = new RecordReader(afterHeader(bytes, header), invalidIndex)
  const writerVersion = reader.number()
  const profile = readProfile(reader)
  const leaf = reader.number()
  if (leaf !== leafBytes) throw invalidIndex(`its leaves are of ${leaf} bytes, not ${leafBytes}`)
  const parts = readParts(reader)
  const lowerBytes = parts.reduce((total, { lengths }) => total + sum(lengths), 0)
  const expected = leafCount(lowerBytes) * leafHashBytes
  if (reader.left !== expected) throw invalidIndex(`its leaves take ${reader.left} bytes, not ${expected}`)
  return { writerVersion, profile, parts, leaves: reader.raw(expected) }
}

function readProfile(reader: RecordReader): string {
  const bytes = reader.bytes()
  if (bytes.length > maxProfileBytes) throw invalidIndex('the name of its profile is too long')
  return printable(bytes.toString())
}

function readParts(reader: RecordReader): StoredPart[] {
  const count = reader.number()
  if (count === 0 || count > chunkIndexLimits.parts) throw invalidIndex(`a lower cannot have ${count} parts`)
  const parts: StoredPart[] = []
  for (let left = count; left > 0; left--) parts.push(readStoredPart(reader))
  return parts
}
