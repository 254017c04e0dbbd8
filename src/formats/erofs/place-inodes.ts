import { bodyOf } from './body-of.ts'
import { indexOffset } from './extent-index.ts'
import { compactBytes, extendedBytes, slotBytes } from './inode-core.ts'
import { alignUp } from './integers.ts'
import type { Place, PlannedInode } from './planned-inode.ts'
import { blockSize, type TreeNode } from './tree.ts'
import { xattrAreaBytes } from './xattr-area.ts'

/** The time of all compact inodes. */
export interface Epoch {
  readonly epochSeconds: number
  readonly epochNanoseconds: number
}

export interface Placement extends Epoch {
  /** Blocks that hold the superblock and the inodes. */
  readonly inodeBlocks: number
  /** Blocks behind them, with bodies that are too large to follow their inodes. */
  readonly bodyBlocks: number
}

/** Gives every inode its place, in the order given. @param headEnd where superblock and tables end, in bytes from the image's start */
export function placeInodes(inodes: readonly PlannedInode[], headEnd: number): Placement {
  const epoch = mostFrequentTime(inodes)
  let end = headEnd
  let bodyBlocks = 0
  for (const inode of inodes) {
    const extended = needsExtended(inode, epoch)
    const core = extended ? extendedBytes : compactBytes
    const header = core + xattrAreaBytes(inode.xattrs)
    const bodyBytes = bodyOf(inode)?.size ?? 0
    const { offset, inlineTail } = findPlace({ end, core, header, bodyBytes })
    const ownBlocks = inlineTail ? Math.floor(bodyBytes / blockSize) : Math.ceil(bodyBytes / blockSize)
    inode.place = { extended, offset, inlineTail, ownBlocks, firstOwnBlock: bodyBlocks }
    end = offset + header + (inlineTail ? bodyBytes % blockSize : 0)
    // It may cross blocks: its entries are aligned, and the kernel reads them one by one.
    if (inode.extentIndexBytes > 0) end = indexOffset(end) + inode.extentIndexBytes
    bodyBlocks += ownBlocks
  }
  return { ...epoch, inodeBlocks: Math.ceil(end / blockSize), bodyBlocks }
}

/**
 * The first place from `end` on where an inode may lie. Its fixed part never crosses a block. A tail follows the header only when it ends in
 * the very block where the header's last byte is: a tail that starts the next block makes kernels up to 5.10 refuse the inode
 * ("inline data cross block boundary"). The inode moves on to make that so, unless the gap would be larger than what a block of its own wastes.
 */
export function findPlace(wanted: {
  readonly end: number
  /** Bytes of the fixed part. */
  readonly core: number
  /** Bytes of the fixed part and the xattr area. */
  readonly header: number
  readonly bodyBytes: number
}): Pick<Place, 'offset' | 'inlineTail'> {
  const { end, core, header, bodyBytes } = wanted
  const tail = bodyBytes % blockSize
  const offset = clearOfBoundary(end, core)
  if (tail === 0) return { offset, inlineTail: false }
  if (tailFits(offset, header, tail)) return { offset, inlineTail: true }
  const room = blockSize - usedOfBlock(offset + header)
  const moved = clearOfBoundary(offset + room + 1, core)
  if (tailFits(moved, header, tail) && moved - offset <= blockSize - tail) return { offset: moved, inlineTail: true }
  return { offset, inlineTail: false }
}

function clearOfBoundary(position: number, core: number): number {
  const offset = alignUp(position, slotBytes)
  return usedOfBlock(offset + core) < core ? alignUp(offset, blockSize) : offset
}

function tailFits(offset: number, header: number, tail: number): boolean {
  return usedOfBlock(offset + header) + tail <= blockSize
}

/** How far into its block something that ends here reaches: 1 to 4096. */
function usedOfBlock(end: number): number {
  return ((end - 1) % blockSize) + 1
}

function needsExtended(inode: PlannedInode, epoch: Epoch): boolean {
  const { node, links } = inode
  return (
    node.mtimeSeconds !== epoch.epochSeconds ||
    node.mtimeNanoseconds !== epoch.epochNanoseconds ||
    node.uid > 0xffff ||
    node.gid > 0xffff ||
    links > 0xffff ||
    contentBytes(node, bodyOf(inode)?.size) > 0xffffffff
  )
}

/** i_size: 0 for devices, fifos and sockets. */
export function contentBytes(node: TreeNode, bodyBytes: number | undefined): number {
  return node.kind === 'file' ? node.size : (bodyBytes ?? 0)
}

/** The modification time that most inodes have; of several the earliest. */
export function mostFrequentTime(inodes: readonly { readonly node: TreeNode }[]): Epoch {
  // Whole seconds, as most archives have them, are their own keys: a million texts would take more memory than the inodes.
  const counts = new Map<number | string, number>()
  for (const { node } of inodes) {
    const { mtimeSeconds, mtimeNanoseconds } = node
    const key = mtimeNanoseconds === 0 ? mtimeSeconds : `${mtimeSeconds}.${mtimeNanoseconds}`
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  const most = Math.max(...new Set(counts.values()))
  let best: Epoch | undefined
  for (const [key, count] of counts) {
    if (count < most) continue
    const time = epochOf(key)
    if (best === undefined || isBefore(time, best)) best = time
  }
  return { epochSeconds: best?.epochSeconds ?? 0, epochNanoseconds: best?.epochNanoseconds ?? 0 }
}

function epochOf(key: number | string): Epoch {
  const [seconds, nanoseconds] = String(key).split('.')
  return { epochSeconds: Number(seconds), epochNanoseconds: Number(nanoseconds ?? 0) }
}

function isBefore(a: Epoch, b: Epoch): boolean {
  return (a.epochSeconds - b.epochSeconds || a.epochNanoseconds - b.epochNanoseconds) < 0
}
