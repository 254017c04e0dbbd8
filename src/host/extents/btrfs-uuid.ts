import { lastError, libc } from '../libc.ts'
import { readUInt64 } from './read-fiemap.ts'

/** linux/btrfs.h: btrfs_ioctl_fs_info_args, 1024 bytes; the uuid is behind two u64. */
const BTRFS_IOC_FS_INFO = 0x8400941f

/** The uuid of the btrfs of an open file, as /sys/fs/btrfs names it. @throws a system error */
export function btrfsUuid(fd: number): string {
  const argument = filesystemInfo(fd, 0n)
  const hex = argument.toString('hex', 16, 32)
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

/** Number of the transaction that is under way, or of the last one; 0 from a kernel before 5.10. @throws a system error */
export function btrfsGeneration(fd: number): number {
  return readUInt64(filesystemInfo(fd, BTRFS_FS_INFO_FLAG_GENERATION), generationAt)
}

/** Flags are behind 40 bytes, what they asked for behind those and a checksum type. */
const flagsAt = 48
const generationAt = 56
const BTRFS_FS_INFO_FLAG_GENERATION = 2n

function filesystemInfo(fd: number, flags: bigint): Buffer {
  const argument = Buffer.alloc(1024)
  argument.writeBigUInt64LE(flags, flagsAt)
  if (libc().ioctl(fd, BTRFS_IOC_FS_INFO, argument) < 0) throw lastError('ask the btrfs what it is')
  return argument
}
