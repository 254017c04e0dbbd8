import { lastError, libc } from './libc.ts'

/** Bytes of a file, which may lie beyond its end. */
export interface LockedRange {
  readonly offset: number
  readonly length: number
}

/**
 * Takes the kernel's lock on a range of an open file, all of it or nothing, without waiting. It is the open file description's: whoever opens the file anew, in this process or another, is somebody
 * else. The kernel frees it when the description is closed, however its process ends. The file must be open for writing.
 *
 * @returns undefined when it is ours; else a range that somebody else has, and that overlaps this one
 * @throws a system error, where there are no such locks
 * @see fcntl(2), open file description locks
 */
export function lockRange(fd: number, range: LockedRange): LockedRange | undefined {
  for (;;) {
    if (libc().fcntl(fd, F_OFD_SETLK, structFlock(F_WRLCK, range)) !== -1) return undefined
    const error = lastError('fcntl')
    if (error.code !== 'EAGAIN' && error.code !== 'EACCES') throw error
    const asked = structFlock(F_WRLCK, range)
    if (libc().fcntl(fd, F_OFD_GETLK, asked) === -1) throw lastError('fcntl')
    // It may have been freed since: then it is asked for again.
    if (asked.readInt16LE(typeAt) !== F_UNLCK) return rangeOf(asked)
  }
}

/** Frees what is ours of a range. @throws a system error */
export function unlockRange(fd: number, range: LockedRange): void {
  if (libc().fcntl(fd, F_OFD_SETLK, structFlock(F_UNLCK, range)) === -1) throw lastError('fcntl')
}

/** struct flock of fcntl.h, of 64 bits: s16 l_type, l_whence (SEEK_SET); s64 l_start, l_len; s32 l_pid, which is 0. */
function structFlock(type: number, { offset, length }: LockedRange): Buffer {
  const bytes = Buffer.alloc(32)
  bytes.writeInt16LE(type, typeAt)
  bytes.writeBigInt64LE(BigInt(offset), startAt)
  bytes.writeBigInt64LE(BigInt(length), lengthAt)
  return bytes
}

function rangeOf(bytes: Buffer): LockedRange {
  return { offset: Number(bytes.readBigInt64LE(startAt)), length: Number(bytes.readBigInt64LE(lengthAt)) }
}

const [typeAt, startAt, lengthAt] = [0, 8, 16]
/** fcntl.h */
const F_WRLCK = 1
const F_UNLCK = 2
const F_OFD_GETLK = 36
const F_OFD_SETLK = 37
