import { lastError, libc } from '../libc.ts'

/** struct xfs_fs_eofblocks of xfs_fs.h: version, flags, uid, gid, prid, padding, min_file_size, padding. */
const XFS_IOC_FREE_EOFBLOCKS = 0x8080583a
const argumentBytes = 128
const version = 1
const sync = 1
const onlyLargerFiles = 16

/**
 * Gives back what xfs holds ready for writes to come: past the ends of files that grow, and for blocks that are shared and may be overwritten. Files
 * stay as they are. Needs CAP_SYS_ADMIN.
 *
 * @param fd any open file of the filesystem
 * @throws a system error
 */
export function releaseXfsReservations(fd: number): void {
  freeBlocks(fd, sync, 0n)
}

/** Waits until xfs has freed what was deleted; it does so in the background otherwise. @throws a system error, EPERM without CAP_SYS_ADMIN */
export function awaitXfsDeletions(fd: number): void {
  // The same call does it at its end. No file is as large as this, so that it does nothing else.
  freeBlocks(fd, sync | onlyLargerFiles, 2n ** 63n - 1n)
}

function freeBlocks(fd: number, flags: number, minFileSize: bigint): void {
  const argument = Buffer.alloc(argumentBytes)
  argument.writeUInt32LE(version, 0)
  argument.writeUInt32LE(flags, 4)
  argument.writeBigUInt64LE(minFileSize, 24)
  if (libc().ioctl(fd, XFS_IOC_FREE_EOFBLOCKS, argument) < 0) throw lastError('xfs free eofblocks')
}
