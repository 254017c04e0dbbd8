import { lastError, libc } from '../libc.ts'

/** linux/btrfs.h: btrfs_ioctl_fs_info_args, 1024 bytes; the uuid is behind two u64. */
const BTRFS_IOC_FS_INFO = 0x8400941f

/** The uuid of the btrfs of an open file, as /sys/fs/btrfs names it. @throws a system error */
export function btrfsUuid(fd: number): string {
  const argument = Buffer.alloc(1024)
  if (libc().ioctl(fd, BTRFS_IOC_FS_INFO, argument) < 0) throw lastError('ask the btrfs for its uuid')
  const hex = argument.toString('hex', 16, 32)
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}
