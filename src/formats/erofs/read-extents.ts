import { decodeCluster } from './decode-cluster.ts'
import {
  bigClusterAdvice,
  clusterType,
  countFlag,
  indexEntryBytes,
  indexHeaderBytes,
  indexOffset,
} from './extent-index.ts'
import { checkRange, type ImageSource } from './image-source.ts'
import { invalidImage } from './invalid.ts'
import type { Inode } from './read-inode.ts'
import { incompat } from './superblock.ts'

/** An extent as the index has it. */
export interface StoredExtent {
  /** Where its content is in the file, in bytes. */
  readonly start: number
  readonly length: number
  /** Where its cluster is in the image, in bytes, and how long that is. */
  readonly at: number
  readonly clusterBytes: number
  readonly raw: boolean
}

/** What kernels decompress of one extent at most, and from how much: Z_EROFS_PCLUSTER_MAX_DSIZE and _MAX_SIZE. */
const maxDecodedBytes = 12 * 2 ** 20
const maxClusterBytes = 2 ** 20

/**
 * The extents that a range of a compressed file is in, in order. Every one has its cluster inside the image and a bounded size; the work is bounded by
 * the length of the range and the most that an extent can hold.
 *
 * @throws Problem EROFS_INVALID
 */
export function* extentsOf(source: ImageSource, inode: Inode, from: number, to: number): Generator<StoredExtent> {
  const index = openIndex(source, inode)
  let head = headBefore(index, from)
  while (head !== undefined && head.start < to) {
    const next = headAfter(index, head)
    yield storedExtent(index, head, next?.start ?? inode.size)
    head = next
  }
}

/** The content of an extent. @throws Problem EROFS_INVALID when its cluster does not hold it */
export function readExtent(source: ImageSource, { nid }: Inode, extent: StoredExtent): Buffer {
  const cluster = source.read(extent.at, extent.clusterBytes, `data of inode ${nid}`)
  const content = decodeCluster(cluster, extent)
  if (content !== undefined) return content
  throw invalidImage(`the cluster at byte ${extent.start} of inode ${nid} does not hold what it should`)
}

interface Index {
  readonly source: ImageSource
  readonly inode: Inode
  readonly entriesAt: number
  /** How many blocks of content there are. */
  readonly count: number
  readonly bigClusters: boolean
}

function openIndex(source: ImageSource, inode: Inode): Index {
  const { superblock } = source
  if ((superblock.features.incompat & incompat.zeroPadding) === 0)
    throw invalidImage(`inode ${inode.nid} is compressed without padding in front, which is not supported`)
  const start = indexOffset(inode.xattrOffset + inode.xattrBytes)
  const header = source.read(start, indexHeaderBytes, `the map header of inode ${inode.nid}`)
  // Without big clusters kernels do not look at the header of this layout.
  const hasHeader = (superblock.features.incompat & incompat.bigClusters) !== 0
  const advice = hasHeader ? header.readUInt16LE(4) : 0
  if ((advice & ~bigClusterAdvice) !== 0 || (hasHeader && header.readUInt16LE(6) !== 0))
    throw invalidImage(`inode ${inode.nid} is compressed in a way that is not supported`)
  const count = Math.ceil(inode.size / superblock.blockSize)
  checkRange(start + indexHeaderBytes, count * indexEntryBytes, source.bytes, `the extents of inode ${inode.nid}`)
  return { source, inode, entriesAt: start + indexHeaderBytes, count, bigClusters: advice !== 0 }
}

interface Entry {
  readonly type: number
  readonly offset: number
  readonly block: number
}

function entryOf({ source, inode, entriesAt }: Index, cluster: number): Entry {
  const entry = source.read(entriesAt + cluster * indexEntryBytes, indexEntryBytes, `the extents of inode ${inode.nid}`)
  const advice = entry.readUInt16LE(0)
  const [type, offset] = [advice & 3, entry.readUInt16LE(2)]
  if (advice > clusterType.inside) throw invalidImage(`inode ${inode.nid} has an extent of an unknown kind`)
  if (type !== clusterType.inside && offset >= source.superblock.blockSize)
    throw invalidImage(`inode ${inode.nid} has an extent outside its block`)
  return { type, offset, block: entry.readUInt32LE(4) }
}

/** An extent's start. */
interface Head {
  readonly cluster: number
  readonly start: number
  readonly entry: Entry
}

/** The extent that holds the byte at `position`. */
function headBefore(index: Index, position: number): Head | undefined {
  const { blockSize } = index.source.superblock
  const here = Math.floor(position / blockSize)
  if (here >= index.count) return undefined
  const oldest = Math.max(0, here - maxDecodedBytes / blockSize)
  for (let cluster = here; cluster >= oldest; cluster--) {
    const head = headAt(index, cluster)
    if (head !== undefined && head.start <= position) return head
  }
  throw invalidImage(`inode ${index.inode.nid} has no extent at byte ${position}`)
}

function headAfter(index: Index, { cluster }: Head): Head | undefined {
  const { blockSize } = index.source.superblock
  const last = Math.min(index.count - 1, cluster + 1 + maxDecodedBytes / blockSize)
  for (let next = cluster + 1; next <= last; next++) {
    const head = headAt(index, next)
    // What starts where the file ends only closes the index.
    if (head !== undefined) return head.start < index.inode.size ? head : undefined
  }
  return undefined
}

function headAt(index: Index, cluster: number): Head | undefined {
  const entry = entryOf(index, cluster)
  if (entry.type === clusterType.inside) return undefined
  return { cluster, start: cluster * index.source.superblock.blockSize + entry.offset, entry }
}

function storedExtent(index: Index, { cluster, start, entry }: Head, end: number): StoredExtent {
  const { source, inode } = index
  const { blockSize } = source.superblock
  const raw = entry.type === clusterType.plain
  const clusterBytes = (raw ? 1 : blocksOf(index, cluster)) * blockSize
  const length = end - start
  const at = entry.block * blockSize
  if (length <= 0 || length > (raw ? blockSize : maxDecodedBytes) || clusterBytes > maxClusterBytes)
    throw invalidImage(`inode ${inode.nid} has an extent of ${length} bytes in ${clusterBytes}`)
  checkRange(at, clusterBytes, source.bytes, `data of inode ${inode.nid}`)
  return { start, length, at, clusterBytes, raw }
}

/** Of a compressed extent: as the first block inside it says, or 1. */
function blocksOf(index: Index, cluster: number): number {
  if (!index.bigClusters || cluster + 1 >= index.count) return 1
  const next = entryOf(index, cluster + 1)
  if (next.type !== clusterType.inside) return 1
  const distance = next.block & 0xffff
  if ((distance & countFlag) === 0 || (distance & ~countFlag) === 0)
    throw invalidImage(`inode ${index.inode.nid} has a cluster without a number of blocks`)
  return distance & ~countFlag
}

/** Bytes of the index of an inode; 0 when it has none. */
export function extentIndexSize({ superblock }: ImageSource, inode: Inode): number {
  return indexHeaderBytes + Math.ceil(inode.size / superblock.blockSize) * indexEntryBytes
}
