import { alignUp } from './integers.ts'
import { blockSize, type Extent } from './tree.ts'

/** What a block of content is to the extents: where one starts (plain or compressed), or inside one. */
export const clusterType = { plain: 0, head: 1, inside: 2 } as const
/** In the first block inside an extent, with big clusters: the low bits are the number of the cluster's blocks instead of a distance. */
export const countFlag = 0x800
/** z_advise: clusters may have more than one block. */
export const bigClusterAdvice = 0x2
/** Before the entries: map header, 8 bytes that old kernels skip. */
export const indexHeaderBytes = 16
export const indexEntryBytes = 8
/** Behind inode and xattrs, aligned to: */
export const indexAlignment = 8

/** Bytes of the index of a compressed file. */
export function extentIndexBytes(size: number): number {
  return indexHeaderBytes + Math.ceil(size / blockSize) * indexEntryBytes
}

/**
 * The extents of a file as Linux finds them: for each 4 KiB of content an entry that says where the extent that starts in it has its blocks, or
 * how far away the next ones are (COMPRESSED_FULL).
 *
 * @param firstBlock of the first extent, in the whole image; the others follow it
 * @see struct z_erofs_map_header and z_erofs_lcluster_index in fs/erofs/erofs_fs.h
 */
export function encodeExtentIndex(file: {
  readonly size: number
  readonly extents: Iterable<Extent>
  readonly firstBlock: number
  readonly bigClusters: boolean
}): Buffer {
  const { size, bigClusters } = file
  const out = Buffer.alloc(extentIndexBytes(size))
  if (bigClusters) out.writeUInt16LE(bigClusterAdvice, 4)
  let position = 0
  let block = file.firstBlock
  for (const extent of file.extents) {
    encodeExtent(out, { extent, position, block, bigClusters })
    position += extent.length
    block += extent.blocks
  }
  closeIndex(out, size)
  return out
}

interface PlacedExtent {
  readonly extent: Extent
  readonly position: number
  readonly block: number
  readonly bigClusters: boolean
}

function encodeExtent(out: Buffer, { extent, position, block, bigClusters }: PlacedExtent): void {
  const first = Math.floor(position / blockSize)
  const next = Math.floor((position + extent.length) / blockSize)
  const at = entryAt(first)
  out.writeUInt16LE(extent.raw ? clusterType.plain : clusterType.head, at)
  out.writeUInt16LE(position % blockSize, at + 2)
  out.writeUInt32LE(block, at + 4)
  for (let cluster = first + 1; cluster < next; cluster++) {
    const distance = cluster - first
    const isCount = bigClusters && distance === 1
    out.writeUInt16LE(clusterType.inside, entryAt(cluster))
    out.writeUInt16LE(isCount ? extent.blocks | countFlag : Math.min(distance, countFlag - 1), entryAt(cluster) + 4)
    out.writeUInt16LE(next - cluster, entryAt(cluster) + 6)
  }
}

/** The last extent ends inside a block in which none starts: that block has an entry too, of something that starts where the file ends. */
function closeIndex(out: Buffer, size: number): void {
  const rest = size % blockSize
  const last = entryAt(Math.floor(size / blockSize))
  if (rest === 0 || out.readUInt32LE(last + 4) !== 0) return
  out.writeUInt16LE(clusterType.plain, last)
  out.writeUInt16LE(rest, last + 2)
}

function entryAt(cluster: number): number {
  return indexHeaderBytes + cluster * indexEntryBytes
}

/** Where the index of a file is whose inode and xattrs end here. */
export function indexOffset(headerEnd: number): number {
  return alignUp(headerEnd, indexAlignment)
}
