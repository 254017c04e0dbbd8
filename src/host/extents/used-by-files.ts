import { measureSpace, settleFilesystem } from './measure-space.ts'

/**
 * What is used of the filesystem of a directory but for its own, as far as that can be told: on btrfs the data of files, on xfs all but inodes. What has been
 * deleted and written is so on its disk before it is looked at.
 *
 * @returns bytes
 * @throws a system error
 */
export function usedByFiles(directory: string): number {
  settleFilesystem(directory)
  const { usedBytes, dataBytes, inodeBytes = 0 } = measureSpace(directory)
  return dataBytes ?? usedBytes - inodeBytes
}
