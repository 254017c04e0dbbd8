import { createHash } from 'node:crypto'
import { type Digest, isDigest } from '../../base/index.ts'
import type { Extent } from '../erofs/index.ts'
import { RecordReader } from '../records/record-reader.ts'
import { RecordWriter } from '../records/record-writer.ts'
import { corruptIndex } from './corrupt-index.ts'
import { checksumBytes } from './index-format.ts'

/** Where a content is in a compressed data blob. */
export type MappedContent =
  | { readonly kind: 'blocks'; readonly startBlock: number }
  | {
      readonly kind: 'compressed'
      readonly startBlock: number
      readonly blocks: number
      /** May be walked more than once; each walk decodes anew. */
      readonly extents: Iterable<Extent>
    }

/**
 * Where a layer's compressed data blob has the contents that the layer's index says where its plain blob has them. The index is the same whatever the
 * blob; what depends on the compression is here.
 */
export interface LayerMap {
  readonly diffId: Digest
  /** Size of the compressed blob, in blocks of 4 KiB. */
  readonly dataBlocks: number
  /** By their place in the plain blob. */
  readonly contents: ReadonlyMap<number, MappedContent>
}

const magic = Buffer.from('CSLMAP\0\0', 'latin1')
/** Raised with every change of the records; a map of another version is rebuilt from its layer. */
const version = 1
const headerBytes = magic.length + 4

/**
 * The map as bytes: header (magic, u32 version), the diff_id, the number of blocks, the number of contents, each content, and the sha256 of all that. A
 * content: its place in the plain blob, its place in this one, and how many extents it has, which is 0 for one that is not compressed; for each extent its
 * bytes, times two, plus 1 when it is stored as it is, and, when it is not, how many blocks it has. Numbers are LEB128.
 */
export function encodeLayerMap({ diffId, dataBlocks, contents }: LayerMap): Buffer {
  const out = new RecordWriter()
  out.raw(magic)
  out.uint32(version)
  out.bytes(Buffer.from(diffId))
  out.number(dataBlocks)
  out.number(contents.size)
  for (const [plainBlock, content] of contents) {
    out.number(plainBlock)
    out.number(content.startBlock)
    const extents = content.kind === 'blocks' ? [] : [...content.extents]
    out.number(extents.length)
    for (const { length, blocks, raw } of extents) {
      out.number(length * 2 + (raw ? 1 : 0))
      if (!raw) out.number(blocks)
    }
  }
  const body = out.take()
  return Buffer.concat([body, createHash('sha256').update(body).digest()])
}

/** @throws Problem LAYER_INVALID unless it is as it was written */
export function decodeLayerMap(bytes: Buffer): LayerMap {
  const body = checkedBody(bytes)
  const reader = new RecordReader(body.subarray(headerBytes), corruptIndex)
  const diffId = reader.bytes().toString()
  if (!isDigest(diffId)) throw corruptIndex('its diff_id is none')
  const dataBlocks = reader.number()
  const contents = new Map<number, MappedContent>()
  for (let left = reader.number(); left > 0; left--)
    contents.set(reader.number(), readContent(body, reader, dataBlocks))
  if (!reader.atEnd) throw corruptIndex('something follows its last record')
  return { diffId, dataBlocks, contents }
}

function checkedBody(bytes: Buffer): Buffer {
  const body = bytes.subarray(0, Math.max(0, bytes.length - checksumBytes))
  const isOurs = body.length >= headerBytes && body.subarray(0, magic.length).equals(magic)
  if (!isOurs || body.readUInt32LE(magic.length) !== version) throw corruptIndex('it has another version')
  if (!createHash('sha256').update(body).digest().equals(bytes.subarray(body.length)))
    throw corruptIndex('its checksum is wrong')
  return body
}

function readContent(body: Buffer, reader: RecordReader, dataBlocks: number): MappedContent {
  const startBlock = reader.number()
  const count = reader.number()
  if (count === 0) return { kind: 'blocks', startBlock }
  const at = body.length - reader.left
  let blocks = 0
  for (let left = count; left > 0; left--) blocks += readExtent(reader).blocks
  if (startBlock + blocks > dataBlocks) throw corruptIndex('an extent lies outside the data blob')
  return {
    kind: 'compressed',
    startBlock,
    blocks,
    extents: { [Symbol.iterator]: () => extentsAt(body.subarray(at), count) },
  }
}

function* extentsAt(records: Buffer, count: number): Generator<Extent> {
  const reader = new RecordReader(records, corruptIndex)
  for (let left = count; left > 0; left--) yield readExtent(reader)
}

function readExtent(reader: RecordReader): Extent {
  const value = reader.number()
  const raw = value % 2 === 1
  return { length: Math.floor(value / 2), blocks: raw ? 1 : reader.number(), raw }
}
