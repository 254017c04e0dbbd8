import { blockSize } from '../erofs/tree.ts'
import { blocksPerGroup } from './geometry.ts'

/**
 * How the descriptors of groups are kept. They are one table behind the superblock, copied behind each of its backups; from the nth block of descriptors on (meta_bg) each block is where
 * its groups are: in the first of those, the second and the last.
 *
 * @see https://docs.kernel.org/filesystems/ext4/overview.html#meta-block-groups
 */
export interface DescriptorTable {
  readonly groups: number
  readonly descriptorBytes: number
  /** Blocks of the one table, and those kept free behind it. */
  readonly tableBlocks: number
  /** The first block of descriptors that is not in the one table; Infinity when all are. */
  readonly firstMetaBlock: number
  /** Whether a group begins with a copy of the superblock. */
  readonly hasBackup: (group: number) => boolean
}

export function descriptorsPerBlock({ descriptorBytes }: Pick<DescriptorTable, 'descriptorBytes'>): number {
  return blockSize / descriptorBytes
}

/** How many blocks of descriptors there are. */
export function blocksOfDescriptors(table: Pick<DescriptorTable, 'groups' | 'descriptorBytes'>): number {
  return Math.ceil(table.groups / descriptorsPerBlock(table))
}

/** The blocks that a block of descriptors is in: the one that counts, then its copies. @param nth from 0 */
export function placesOfDescriptors(table: DescriptorTable, nth: number): number[] {
  const { groups, firstMetaBlock, hasBackup } = table
  if (nth < firstMetaBlock) return groupsWithBackup(table).map((group) => group * blocksPerGroup + 1 + nth)
  const perBlock = descriptorsPerBlock(table)
  const first = nth * perBlock
  const holders = [first, first + 1, first + perBlock - 1].filter((group) => group < groups)
  return holders.map((group) => group * blocksPerGroup + (hasBackup(group) ? 1 : 0))
}

/** Blocks at the start of a group that are superblock and descriptors. */
export function headOfGroup(table: DescriptorTable, group: number): number {
  const { tableBlocks, firstMetaBlock, hasBackup } = table
  const superblock = hasBackup(group) ? 1 : 0
  const perBlock = descriptorsPerBlock(table)
  if (Math.floor(group / perBlock) < firstMetaBlock) return superblock * (1 + tableBlocks)
  return superblock + ([0, 1, perBlock - 1].includes(group % perBlock) ? 1 : 0)
}

/** The first group, and those with a copy of the superblock. */
export function groupsWithBackup({ groups, hasBackup }: Pick<DescriptorTable, 'groups' | 'hasBackup'>): number[] {
  return Array.from({ length: groups }, (_, group) => group).filter(hasBackup)
}
