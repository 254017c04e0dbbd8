import { blockSize, type CompressedData, type Extent } from './tree.ts'

/** Decoded bytes of one extent that kernels take (Z_EROFS_PCLUSTER_MAX_DSIZE). */
const maxDecodedBytes = 12 * 2 ** 20

/**
 * What is wrong with a file's extents, if anything.
 *
 * @param clusterBlocks of the largest cluster that the image may have; 0 when nothing in it may be compressed
 */
export function extentsComplaint(size: number, data: CompressedData, clusterBlocks: number): string | undefined {
  if (size === 0) return 'it is empty, which needs no extents'
  let [position, blocks] = [0, 0]
  for (const extent of data.extents) {
    const end = position + extent.length
    const endsBlock = end === size || end % blockSize === 0
    const why = extentComplaint(extent, { position, endsBlock, clusterBlocks })
    if (why !== undefined) return `the extent at byte ${position} ${why}`
    position += extent.length
    blocks += extent.blocks
  }
  if (position !== size) return `its extents have ${position} of its ${size} bytes`
  return blocks === data.blocks ? undefined : `its extents have ${blocks} blocks, not ${data.blocks}`
}

interface Where {
  readonly position: number
  /** Whether no other extent may start in the block in which it ends: it is the last, or fills the block. */
  readonly endsBlock: boolean
  readonly clusterBlocks: number
}

function extentComplaint({ length, blocks, raw }: Extent, where: Where): string | undefined {
  if (!Number.isInteger(length) || length <= 0 || length > maxDecodedBytes) return `has ${length} bytes`
  if (!where.endsBlock && length < blockSize) return 'is shorter than a block'
  if (raw) return blocks === 1 && length <= blockSize ? undefined : 'is stored as it is but not in one block'
  if (!Number.isInteger(blocks) || blocks < 1 || blocks > where.clusterBlocks)
    return `has a cluster of ${blocks} blocks`
  const hasRoomForCount = (where.position % blockSize) + length >= 2 * blockSize
  return blocks === 1 || hasRoomForCount ? undefined : 'has no place for the number of its blocks'
}
