import { lastError, libc } from './libc.ts'

/** linux/fs.h */
const FS_IOC_SETFLAGS = 0x40086602
const FS_NOCOMP_FL = 0x400

/** What is written to an open file from now on is not compressed by the filesystem, whatever it is mounted with. @throws a system error */
export function leaveUncompressed(fd: number): void {
  const argument = Buffer.alloc(8)
  argument.writeUInt32LE(FS_NOCOMP_FL, 0)
  if (libc().ioctl(fd, FS_IOC_SETFLAGS, argument) < 0) throw lastError('FS_IOC_SETFLAGS')
}
