import { createHash } from 'node:crypto'
import { isDigest } from '../../base/index.ts'
import { RecordReader } from '../records/record-reader.ts'
import { corruptIndex } from './corrupt-index.ts'
import { checksumBytes, entryTypes, headerBytes, indexMagic, indexVersion } from './index-format.ts'
import type { LayerContent, LayerEntry, LayerEntryAttributes, LayerIndex } from './layer-entry.ts'

const blockSize = 4096

/**
 * Reads a layer index. Disks rot: nothing is believed before the checksum was compared.
 *
 * Paths, inline contents and xattr values are views of `bytes`, which must not change while they are in use.
 * @throws Problem LAYER_INVALID when the bytes are not an index as this version writes it; also while entries are walked
 * @see index-format.ts
 */
export function decodeLayerIndex(bytes: Buffer): LayerIndex {
  const body = checkEnvelope(bytes)
  const footerLengthAt = body.length - 4
  const footerAt = footerLengthAt - body.readUInt32LE(footerLengthAt)
  if (footerAt < headerBytes) throw corruptIndex('its footer is too long')
  const records = body.subarray(headerBytes, footerAt)
  const footer = readFooter(body.subarray(footerAt, footerLengthAt))
  return { ...footer, entries: { [Symbol.iterator]: () => readEntries(records, footer) } }
}

/** @returns everything but the checksum, which was right */
function checkEnvelope(bytes: Buffer): Buffer {
  if (bytes.length < headerBytes + 4 + checksumBytes) throw corruptIndex('it is too short')
  if (!bytes.subarray(0, indexMagic.length).equals(indexMagic)) throw corruptIndex('it does not start as one')
  const version = bytes.readUInt32LE(indexMagic.length)
  if (version !== indexVersion) throw corruptIndex(`it is of version ${version}`)
  const body = bytes.subarray(0, bytes.length - checksumBytes)
  const checksum = createHash('sha256').update(body).digest()
  if (!checksum.equals(bytes.subarray(body.length))) throw corruptIndex('its checksum does not match')
  return body
}

function readFooter(bytes: Buffer): Omit<LayerIndex, 'entries'> {
  const reader = new RecordReader(bytes, corruptIndex)
  const dataBlocks = reader.number()
  const entryCount = reader.number()
  const warnings: string[] = []
  for (let left = reader.number(); left > 0; left--) warnings.push(reader.bytes().toString())
  const diffId = reader.bytes().toString()
  if (!isDigest(diffId)) throw corruptIndex('it names no layer')
  if (!reader.atEnd) throw corruptIndex('its footer is longer than it says')
  return { dataBlocks, entryCount, warnings, diffId }
}

function* readEntries(records: Buffer, { entryCount, dataBlocks }: Omit<LayerIndex, 'entries'>): Generator<LayerEntry> {
  const reader = new RecordReader(records, corruptIndex)
  for (let left = entryCount; left > 0; left--) yield readEntry(reader, dataBlocks)
  if (!reader.atEnd) throw corruptIndex('it has more entries than it says')
}

/** Fields are spelled out for each type: at a million entries, spreading one object into another costs more than all the rest. */
function readEntry(reader: RecordReader, dataBlocks: number): LayerEntry {
  const type = entryTypes[reader.byte()]
  const path = reader.bytes()
  const mode = reader.number()
  const uid = reader.number()
  const gid = reader.number()
  const mtimeSeconds = reader.signed()
  const mtimeNanoseconds = reader.number()
  const xattrs = readXattrs(reader)
  switch (type) {
    case 'file': {
      const size = reader.number()
      const content = readContent(reader, size, dataBlocks)
      return { type, path, mode, uid, gid, mtimeSeconds, mtimeNanoseconds, xattrs, size, content }
    }
    case 'hardlink':
    case 'symlink': {
      const linkTarget = reader.bytes()
      return { type, path, mode, uid, gid, mtimeSeconds, mtimeNanoseconds, xattrs, linkTarget }
    }
    case 'char':
    case 'block': {
      const [major, minor] = [reader.number(), reader.number()]
      return { type, path, mode, uid, gid, mtimeSeconds, mtimeNanoseconds, xattrs, major, minor }
    }
    case 'directory':
    case 'fifo':
      return { type, path, mode, uid, gid, mtimeSeconds, mtimeNanoseconds, xattrs }
    default:
      throw corruptIndex('an entry is of no known type')
  }
}

const noXattrs: LayerEntryAttributes['xattrs'] = []

function readXattrs(reader: RecordReader): LayerEntryAttributes['xattrs'] {
  let left = reader.number()
  if (left === 0) return noXattrs
  const xattrs = []
  for (; left > 0; left--) xattrs.push({ name: reader.bytes().toString('latin1'), value: reader.bytes() })
  return xattrs
}

function readContent(reader: RecordReader, size: number, dataBlocks: number): LayerContent {
  if (reader.byte() === 0) return { kind: 'inline', bytes: reader.raw(size) }
  const startBlock = reader.number()
  if (startBlock + Math.ceil(size / blockSize) > dataBlocks) throw corruptIndex('a file lies outside the data blob')
  return { kind: 'blocks', startBlock, sha256: reader.raw(32) }
}
