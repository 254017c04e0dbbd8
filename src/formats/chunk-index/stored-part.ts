import { digestHex, sha256Digest } from '../../base/index.ts'
import { blockSize } from '../erofs/index.ts'
import { RecordReader } from '../records/record-reader.ts'
import { RecordWriter } from '../records/record-writer.ts'
import { invalidIndex, maxChunkBlocks, maxStoredLength, type StoredPart } from './chunk-index.ts'

/** One part by itself, as an index holds it: what a publisher remembers of a blob that it has made. */
export function encodeStoredPart(part: StoredPart): Buffer {
  const out = new RecordWriter()
  writeStoredPart(out, part)
  return Buffer.from(out.take())
}

/** @throws Problem CHUNK_INDEX_INVALID */
export function decodeStoredPart(bytes: Buffer): StoredPart {
  const reader = new RecordReader(bytes, invalidIndex)
  const part = readStoredPart(reader)
  if (!reader.atEnd) throw invalidIndex('there is something behind its part')
  return part
}

export function writeStoredPart(out: RecordWriter, { digest, lengths, storedLengths }: StoredPart): void {
  out.raw(Buffer.from(digestHex(digest), 'hex'))
  out.number(lengths.length)
  for (const [at, length] of lengths.entries()) {
    out.number(length / blockSize)
    out.number(storedLengths[at] ?? 0)
  }
}

export function readStoredPart(reader: RecordReader): StoredPart {
  const digest = sha256Digest(reader.raw(32).toString('hex'))
  const count = reader.number()
  // A chunk takes at least two bytes: no memory is set aside for more than can be there.
  if (count === 0 || count > reader.left / 2) throw invalidIndex(`a part cannot have ${count} chunks`)
  const lengths = new Uint32Array(count)
  const storedLengths = new Uint32Array(count)
  for (let at = 0; at < count; at++) {
    const blocks = reader.number()
    if (blocks === 0 || blocks > maxChunkBlocks) throw invalidIndex(`a chunk cannot have ${blocks} blocks`)
    const length = blocks * blockSize
    const stored = reader.number()
    if (stored === 0 || stored > maxStoredLength(length)) {
      throw invalidIndex(`a chunk of ${length} bytes cannot be stored as ${stored}`)
    }
    lengths[at] = length
    storedLengths[at] = stored
  }
  return { digest, lengths, storedLengths }
}
