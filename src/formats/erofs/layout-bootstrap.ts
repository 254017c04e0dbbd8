import { Problem } from '../../base/index.ts'
import { bodyOf } from './body-of.ts'
import { joinChunks, type Piece } from './chunks.ts'
import { collectInodes, type DroppedXattr } from './collect-inodes.ts'
import { type DeviceSlot, encodeHead } from './encode-head.ts'
import { encodeInode } from './encode-inode.ts'
import { extentsComplaint } from './extents-complaint.ts'
import { deviceTagBytes, headOf, type ImageKind, superblockOffset } from './image-kind.ts'
import { noBlock, slotBytes } from './inode-core.ts'
import { invalidTree } from './invalid.ts'
import { type Placement, placeInodes } from './place-inodes.ts'
import { type PlannedInode, pathOf } from './planned-inode.ts'
import { sealFirstBlock } from './superblock.ts'
import { blockSize, type DirectoryNode } from './tree.ts'

export interface BootstrapOptions extends Pick<ImageKind, 'clusterBlocks'> {
  /** 16 bytes; give the same for the same content, or images are not reproducible. */
  readonly uuid: Buffer
  /** Sizes of the data blobs in blocks of 4096 bytes, in the order in which they follow the bootstrap. */
  readonly blobBlocks: readonly number[]
  /**
   * Tags of the devices that the data blobs are, one each, 1 to 64 letters; a blob without blocks needs no device. Undefined when the blobs follow the
   * bootstrap.
   */
  readonly deviceTags?: readonly string[]
}

export interface Bootstrap {
  /** A multiple of 4096. */
  readonly bytes: number
  /** Blocks of the whole image: this bootstrap and the blobs, whether they follow it or are devices of their own. */
  readonly totalBlocks: number
  readonly inodes: number
  /** What erofs cannot store and the image leaves out. */
  readonly dropped: readonly DroppedXattr[]
  /** The bytes, in chunks of about 1 MiB. May be called again, and gives the same. */
  chunks(): Iterable<Buffer>
}

/**
 * Lays out all metadata of a file tree, and the data that the tree carries inline, as the head of an erofs. Followed by the data blobs, each
 * padded to whole blocks, it is an image that every kernel since 5.4 mounts; since 5.13 when clusters are big. With `deviceTags` the blobs are
 * devices of their own, given to mount(8) in their order as `-o device=`: kernels since 5.16.
 *
 * Same tree, same bytes: neither the order in which names were added to a directory nor anything of the host matters. The image is
 * superblock, inodes in the order of collectInodes with xattrs and short bodies right behind each, then longer bodies block by block.
 *
 * @throws Problem EROFS_INVALID naming the path that erofs cannot hold
 * @see https://docs.kernel.org/filesystems/erofs.html and fs/erofs/erofs_fs.h of the kernel
 */
export function layoutBootstrap(root: DirectoryNode, options: BootstrapOptions): Bootstrap {
  if (options.uuid.length !== 16) throw new Problem('EROFS_INVALID', 'the uuid of an erofs image has 16 bytes')
  checkTags(options)
  const { inodes, dropped } = collectInodes(root)
  const kind = kindOf(options)
  const placement = placeInodes(inodes, headOf(kind).end)
  const blobs = locateBlobs(placement, options.blobBlocks)
  for (const inode of inodes) checkBlocks(inode, options)
  const image: Image = { inodes, placement, blobs, kind, options }
  const bytes = blobs.bootstrapBlocks * blockSize
  return {
    bytes,
    totalBlocks: blobs.totalBlocks,
    inodes: inodes.length,
    dropped,
    chunks: () => sealed(joinChunks(pieces(image), bytes)),
  }
}

interface Image {
  readonly inodes: readonly PlannedInode[]
  readonly placement: Placement
  readonly blobs: BlobLocations
  readonly kind: ImageKind
  readonly options: BootstrapOptions
}

interface BlobLocations {
  readonly bootstrapBlocks: number
  /** First block of each blob in the whole image. */
  readonly starts: readonly number[]
  readonly totalBlocks: number
}

function locateBlobs({ inodeBlocks, bodyBlocks }: Placement, blobBlocks: readonly number[]): BlobLocations {
  const bootstrapBlocks = inodeBlocks + bodyBlocks
  const starts: number[] = []
  let totalBlocks = bootstrapBlocks
  for (const blocks of blobBlocks) {
    starts.push(totalBlocks)
    totalBlocks += blocks
  }
  if (totalBlocks > noBlock) {
    throw new Problem('EROFS_INVALID', `an erofs image of ${totalBlocks} blocks is larger than 16 TiB`)
  }
  return { bootstrapBlocks, starts, totalBlocks }
}

function kindOf({ clusterBlocks, deviceTags, blobBlocks }: BootstrapOptions): ImageKind {
  const devices = blobBlocks.filter((blocks) => blocks > 0).length
  return { ...(clusterBlocks && { clusterBlocks }), ...(deviceTags && { devices }) }
}

function checkTags({ deviceTags, blobBlocks }: BootstrapOptions): void {
  if (deviceTags === undefined) return
  if (deviceTags.length !== blobBlocks.length || deviceTags.some((tag) => !/^[\x21-\x7e]{1,64}$/.test(tag))) {
    throw new Problem('EROFS_INVALID', `each data blob needs a tag of 1 to ${deviceTagBytes} letters`)
  }
}

function checkBlocks(inode: PlannedInode, { blobBlocks, clusterBlocks }: BootstrapOptions): void {
  const { node } = inode
  if (node.kind !== 'file' || node.data.kind === 'inline') return
  const { blob, startBlock } = node.data
  const isPlain = node.data.kind === 'blocks'
  if (node.data.kind === 'compressed') {
    const why = extentsComplaint(node.size, node.data, clusterBlocks ?? 0)
    if (why !== undefined) throw invalidTree(pathOf(inode), why)
  }
  const end = startBlock + (isPlain ? Math.ceil(node.size / blockSize) : node.data.blocks)
  if (Number.isInteger(startBlock) && startBlock >= 0 && end <= (blobBlocks[blob] ?? -1)) return
  throw invalidTree(
    pathOf(inode),
    `its data is at blocks ${startBlock} to ${end} of blob ${blob}, which has no such blocks`,
  )
}

/** All that is not zero, by rising offset. */
function* pieces(image: Image): Generator<Piece> {
  const { inodes, placement, kind } = image
  const bigClusters = kind.clusterBlocks === 16
  yield { offset: superblockOffset, bytes: head(image) }
  for (const inode of inodes) {
    yield {
      offset: inode.place.offset,
      bytes: encodeInode(inode, { startBlock: startBlockOf(inode, image), bigClusters }),
    }
  }
  for (const inode of inodes) {
    const { place } = inode
    const body = place.ownBlocks > 0 ? bodyOf(inode) : undefined
    for (let index = 0; index < place.ownBlocks && body !== undefined; index++) {
      yield { offset: (placement.inodeBlocks + place.firstOwnBlock + index) * blockSize, bytes: body.block(index) }
    }
  }
}

function head({ inodes, placement, blobs, kind, options }: Image): Buffer {
  return encodeHead({
    ...placement,
    rootNid: (inodes[0]?.place.offset ?? 0) / slotBytes,
    inodes: inodes.length,
    blocks: kind.devices === undefined ? blobs.totalBlocks : blobs.bootstrapBlocks,
    uuid: options.uuid,
    kind,
    devices: devicesOf(options, blobs),
  })
}

function devicesOf({ deviceTags = [], blobBlocks }: BootstrapOptions, { starts }: BlobLocations): DeviceSlot[] {
  return deviceTags.flatMap((tag, number) => {
    const blocks = blobBlocks[number] ?? 0
    return blocks === 0 ? [] : [{ tag, blocks, firstBlock: starts[number] ?? 0 }]
  })
}

/** Where the content of an inode starts in the whole image; undefined when it has no blocks. */
function startBlockOf({ node, place }: PlannedInode, { placement, blobs }: Image): number | undefined {
  if (place.ownBlocks > 0) return placement.inodeBlocks + place.firstOwnBlock
  if (node.kind !== 'file' || node.data.kind === 'inline' || node.size === 0) return undefined
  return (blobs.starts[node.data.blob] ?? 0) + node.data.startBlock
}

/** The chunks with the checksum in the first, which holds all of block 0. */
function* sealed(chunks: Iterable<Buffer>): Generator<Buffer> {
  let first = true
  for (const chunk of chunks) {
    if (first) sealFirstBlock(chunk)
    first = false
    yield chunk
  }
}
