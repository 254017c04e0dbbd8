import { lastError, libc } from '../libc.ts'
import { readUInt64 } from './read-fiemap.ts'
import { btrfsItem, btrfsTree, searchBtrfsTree } from './search-btrfs-tree.ts'

/** linux/btrfs.h: btrfs_ioctl_ino_lookup_args, a tree id, an object id, a name of 4080 bytes. */
const BTRFS_IOC_INO_LOOKUP = 0xd0009412
/** BTRFS_FIRST_FREE_OBJECTID: the root directory of every subvolume. */
const rootDirectory = 256n
/** Of last_snapshot in btrfs_root_item. */
const lastSnapshotAt = 200

/**
 * The transaction in which the subvolume of an open file was last snapshotted, or made as a snapshot; 0 for never. Extents written since are in
 * no snapshot.
 *
 * @throws a system error, EPERM without CAP_SYS_ADMIN
 */
export function lastSnapshotOf(fd: number): number {
  const tree = subvolumeOf(fd)
  let lastSnapshot = 0
  searchBtrfsTree(fd, { tree: btrfsTree.roots, objects: [tree], kind: btrfsItem.root }, (bytes, at) => {
    lastSnapshot = Math.max(lastSnapshot, readUInt64(bytes, at + lastSnapshotAt))
  })
  return lastSnapshot
}

function subvolumeOf(fd: number): number {
  const argument = Buffer.alloc(4096)
  argument.writeBigUInt64LE(rootDirectory, 8)
  if (libc().ioctl(fd, BTRFS_IOC_INO_LOOKUP, argument) < 0) throw lastError('look up the subvolume')
  return readUInt64(argument, 0)
}
