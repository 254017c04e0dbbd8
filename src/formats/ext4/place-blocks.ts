import { blockSize } from '../erofs/tree.ts'
import { BlockAllocator } from './block-allocator.ts'
import { extentTree } from './extent-tree.ts'
import { blocksPerGroup, descriptorRoom, groupOverhead } from './geometry.ts'
import { unstorable } from './invalid-ext4.ts'
import type { FileExtent, PlannedInode } from './planned-inode.ts'

/** Blocks of a data blob that belong at a place of the image. */
export interface DataRun {
  /** Index into the data blobs. */
  readonly blob: number
  readonly blobBlock: number
  readonly block: number
  readonly blocks: number
}

export interface Placement {
  readonly inodesPerGroup: number
  /** By rising place in the image. */
  readonly runs: readonly DataRun[]
  /** No block from here on is in use, but for the metadata of groups. */
  readonly end: number
}

/** Blocks in a row, by their place in a file. */
export interface BlockRun {
  readonly start: number
  readonly blocks: number
}

/** What of a file in a data blob is zeros, by rising place: it becomes holes. Must depend on the blob's content alone. */
export type FindZeroRuns = (file: {
  readonly blob: number
  readonly startBlock: number
  readonly blocks: number
}) => readonly BlockRun[]

/** One inode for 16 KiB, as mke2fs gives; more when a tree has more small files than that. */
const inodeCounts = [blocksPerGroup / 4, blocksPerGroup / 2, blocksPerGroup] as const

/**
 * Gives every inode its blocks: what the image has of its own comes first, inode by inode; then what is in data blobs, in the order in which
 * it is there, so that it is few long runs; then the blocks of extent trees.
 */
export function placeBlocks(
  inodes: readonly PlannedInode[],
  {
    blobBlocks,
    findZeroRuns,
  }: { readonly blobBlocks: readonly number[]; readonly findZeroRuns?: FindZeroRuns | undefined },
): Placement {
  for (const inode of inodes) checkData(inode, blobBlocks)
  const inodesPerGroup = enoughInodes(inodes)
  const allocator = new BlockAllocator(inodesPerGroup)
  for (const inode of inodes) {
    if (inode.xattrs.inBlock !== undefined) inode.xattrBlock = allocator.takeOne()
    if (inode.body !== undefined) inode.extents = takeRun(allocator, { start: 0, blocks: inode.body.blocks })
  }
  const runs = placeData(inodes, { allocator, findZeroRuns, runs: [] })
  for (const inode of inodes) {
    if (inode.inPlace !== undefined) continue
    const { root, blocks } = extentTree(inode.extents, () => allocator.takeOne())
    inode.extentRoot = root
    inode.treeBlocks = blocks
  }
  return { inodesPerGroup, runs, end: allocator.end }
}

/** The fewest for a group with which it is the blocks that say how many groups there are. */
function enoughInodes(inodes: readonly PlannedInode[]): number {
  const blocks = inodes.reduce((sum, inode) => sum + (inode.body?.blocks ?? dataBlocks(inode)), descriptorRoom)
  const enough = inodeCounts.find((count) => {
    const groups = Math.ceil(blocks / (blocksPerGroup - groupOverhead(count)))
    return inodes.length * 1.1 <= groups * count
  })
  return enough ?? inodeCounts[2]
}

/**
 * Files of a layer share blocks of its blob when their content is the same; in an ext4 each has its own. The first of them stays where its
 * neighbours are, the others come behind everything.
 */
function placeData(inodes: readonly PlannedInode[], placing: Placing): DataRun[] {
  const files = inodes.flatMap((inode) => (inode.data === undefined ? [] : [{ inode, data: inode.data }]))
  files.sort((a, b) => a.data.blob - b.data.blob || a.data.startBlock - b.data.startBlock || a.inode.ino - b.inode.ino)
  const later: typeof files = []
  let reached = { blob: -1, block: 0 }
  for (const file of files) {
    const { blob, startBlock } = file.data
    if (blob === reached.blob && startBlock < reached.block) {
      later.push(file)
      continue
    }
    reached = { blob, block: startBlock + dataBlocks(file.inode) }
    placeFile(file, placing)
  }
  for (const file of later) placeFile(file, placing)
  return placing.runs
}

interface Placing {
  readonly allocator: BlockAllocator
  readonly findZeroRuns: FindZeroRuns | undefined
  readonly runs: DataRun[]
}

function placeFile(
  {
    inode,
    data: { blob, startBlock },
  }: { readonly inode: PlannedInode; readonly data: NonNullable<PlannedInode['data']> },
  { allocator, findZeroRuns, runs }: Placing,
): void {
  const blocks = dataBlocks(inode)
  const zeros = findZeroRuns?.({ blob, startBlock, blocks }) ?? []
  const extents = between(zeros, blocks).flatMap((run) => takeRun(allocator, run))
  inode.extents = extents
  for (const { logical, ...extent } of extents) addRun(runs, { blob, blobBlock: startBlock + logical, ...extent })
}

function takeRun(allocator: BlockAllocator, { start, blocks }: BlockRun): FileExtent[] {
  let logical = start
  return allocator.take(blocks).map((extent) => {
    const placed = { logical, ...extent }
    logical += extent.blocks
    return placed
  })
}

/** What is left of so many blocks without some of them. */
function between(runs: readonly BlockRun[], blocks: number): BlockRun[] {
  const left: BlockRun[] = []
  let end = 0
  for (const run of [...runs, { start: blocks, blocks: 0 }]) {
    if (run.start > end) left.push({ start: end, blocks: run.start - end })
    end = run.start + run.blocks
  }
  return left
}

/** Joined to the last one when it goes on where that ends, in the blob and in the image. */
function addRun(runs: DataRun[], run: DataRun): void {
  const last = runs.at(-1)
  const goesOn =
    last !== undefined &&
    last.blob === run.blob &&
    last.blobBlock + last.blocks === run.blobBlock &&
    last.block + last.blocks === run.block
  if (goesOn) runs[runs.length - 1] = { ...last, blocks: last.blocks + run.blocks }
  else runs.push(run)
}

function dataBlocks({ data, size }: PlannedInode): number {
  return data === undefined ? 0 : Math.ceil(size / blockSize)
}

function checkData(inode: PlannedInode, blobBlocks: readonly number[]): void {
  if (inode.data === undefined) return
  const { blob, startBlock } = inode.data
  const end = startBlock + dataBlocks(inode)
  if (Number.isInteger(startBlock) && startBlock >= 0 && end <= (blobBlocks[blob] ?? -1)) return
  throw unstorable(
    inode.path(),
    `its data is at blocks ${startBlock} to ${end} of blob ${blob}, which has no such blocks`,
  )
}
