import { checkRange, type ImageSource } from './image-source.ts'
import { dataLayout, noBlock } from './inode-core.ts'
import { alignUp } from './integers.ts'
import { invalidImage } from './invalid.ts'
import { extentIndexSize, extentsOf, readExtent } from './read-extents.ts'
import type { Inode } from './read-inode.ts'

/** Chunk formats: the low five bits are the chunk size in blocks, as a power of two. */
const chunkFormat = { sizeBits: 0x1f, indexes: 0x20 } as const

/** A run of an inode's content: where its bytes are in the image; undefined for a hole, which reads as zeros. */
export interface Run {
  /** Byte offset in the content. */
  readonly start: number
  readonly length: number
  readonly at: number | undefined
}

/**
 * The runs that make up a range of an inode's content, in order; every one of them lies inside the image. `offset + length` must not pass
 * the inode's size.
 *
 * @throws Problem EROFS_INVALID
 */
export function* runsOf(source: ImageSource, inode: Inode, offset: number, length: number): Generator<Run> {
  const runs = inode.layout === dataLayout.chunkBased ? chunkRuns : flatRuns
  for (const run of runs(source, inode, offset, offset + length)) {
    if (run.at !== undefined) checkRange(run.at, run.length, source.bytes, `data of inode ${inode.nid}`)
    yield run
  }
}

/** Bytes of an inode's content; the range must be inside its size. The caller bounds the length. */
export function readContent(source: ImageSource, inode: Inode, offset: number, length: number): Buffer {
  if (inode.layout === dataLayout.compressedFull) return readCompressed(source, inode, offset, length)
  const runs = [...runsOf(source, inode, offset, length)]
  const [only] = runs
  if (runs.length === 1 && only?.at !== undefined)
    return source.read(only.at, only.length, `data of inode ${inode.nid}`)
  const out = Buffer.alloc(length)
  for (const { start, at, length: bytes } of runs) {
    if (at !== undefined) source.read(at, bytes, `data of inode ${inode.nid}`).copy(out, start - offset)
  }
  return out
}

function readCompressed(source: ImageSource, inode: Inode, offset: number, length: number): Buffer {
  const out = Buffer.alloc(length)
  for (const extent of extentsOf(source, inode, offset, offset + length)) {
    const skipped = Math.max(0, offset - extent.start)
    readExtent(source, inode, extent).copy(out, extent.start + skipped - offset, skipped)
  }
  return out
}

/** Whole blocks at the start block; with FLAT_INLINE the last, partial block follows the inode. */
function* flatRuns(source: ImageSource, inode: Inode, from: number, to: number): Generator<Run> {
  const { blockSize } = source.superblock
  const tailBytes = inode.layout === dataLayout.flatInline ? inlineTailBytes(source, inode) : 0
  const tailStart = inode.size - tailBytes
  if (from < Math.min(to, tailStart)) {
    yield { start: from, length: Math.min(to, tailStart) - from, at: inode.union * blockSize + from }
  }
  const start = Math.max(from, tailStart)
  if (start < to) yield { start, length: to - start, at: inode.xattrOffset + inode.xattrBytes + start - tailStart }
}

function inlineTailBytes({ superblock }: ImageSource, inode: Inode): number {
  const tail = inode.size % superblock.blockSize
  if (tail === 0 && inode.size > 0) throw invalidImage(`inode ${inode.nid} is inline but has no partial block`)
  const inBlock = (inode.xattrOffset + inode.xattrBytes) % superblock.blockSize
  if (inBlock + tail > superblock.blockSize) throw invalidImage(`the inline data of inode ${inode.nid} crosses a block`)
  return tail
}

function* chunkRuns(source: ImageSource, inode: Inode, from: number, to: number): Generator<Run> {
  const { blockSize } = source.superblock
  const { chunkBytes, entryBytes } = chunkFormatOf(source, inode)
  const map = alignUp(inode.xattrOffset + inode.xattrBytes, entryBytes)
  const last = Math.ceil(to / chunkBytes)
  let start = from
  for (let chunk = Math.floor(from / chunkBytes); chunk < last; chunk += chunksPerRead) {
    const count = Math.min(chunksPerRead, last - chunk)
    const entries = source.read(map + chunk * entryBytes, count * entryBytes, `the chunk map of inode ${inode.nid}`)
    for (let at = 0; at < entries.length; at += entryBytes) {
      const end = Math.min(to, (Math.floor(start / chunkBytes) + 1) * chunkBytes)
      const block = chunkBlock(entries.subarray(at, at + entryBytes), inode)
      yield {
        start,
        length: end - start,
        at: block === undefined ? undefined : block * blockSize + (start % chunkBytes),
      }
      start = end
    }
  }
}

/** Entries of a chunk map that are read at once. */
const chunksPerRead = 512

function chunkBlock(entry: Buffer, inode: Inode): number | undefined {
  const block = entry.readUInt32LE(entry.length - 4)
  if (block === noBlock) return undefined
  if (entry.length === 8 && entry.readUInt32LE(0) !== 0) {
    throw invalidImage(`inode ${inode.nid} has data on another device, which is not supported`)
  }
  return block
}

function chunkFormatOf({ superblock }: ImageSource, { nid, union }: Inode): { chunkBytes: number; entryBytes: 4 | 8 } {
  const format = union & 0xffff
  if ((format & ~(chunkFormat.sizeBits | chunkFormat.indexes)) !== 0) {
    throw invalidImage(`inode ${nid} has the unknown chunk format 0x${format.toString(16)}`)
  }
  return {
    chunkBytes: superblock.blockSize * 2 ** (format & chunkFormat.sizeBits),
    entryBytes: (format & chunkFormat.indexes) === 0 ? 4 : 8,
  }
}

/**
 * That all of a file's content is inside the image. Compressed content is not decompressed: a small image may hold petabytes of it.
 *
 * @throws Problem EROFS_INVALID
 */
export function checkContent(source: ImageSource, inode: Inode): void {
  const parts = inode.layout === dataLayout.compressedFull ? extentsOf : runsOfRange
  for (const _ of parts(source, inode, 0, inode.size));
}

function runsOfRange(source: ImageSource, inode: Inode, from: number, to: number): Generator<Run> {
  return runsOf(source, inode, from, to - from)
}

/** Bytes of the chunk map or the index of extents of an inode; 0 when it has neither. */
export function mapBytes(source: ImageSource, inode: Inode): number {
  if (inode.layout === dataLayout.compressedFull) return extentIndexSize(source, inode)
  if (inode.layout !== dataLayout.chunkBased) return 0
  const { chunkBytes, entryBytes } = chunkFormatOf(source, inode)
  return Math.ceil(inode.size / chunkBytes) * entryBytes
}
