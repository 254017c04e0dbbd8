import { lastError, libc } from './libc.ts'

/** linux/falloc.h */
const FALLOC_FL_KEEP_SIZE = 1
const FALLOC_FL_PUNCH_HOLE = 2

/**
 * Makes a hole of a range of an open file: it reads as zeros, and its blocks are the filesystem's again where nobody else has them.
 *
 * @throws a system error, EOPNOTSUPP where there are no holes
 */
export async function punchHole(fd: number, offset: number, length: number): Promise<void> {
  const range = { fd, mode: FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length }
  if ((await libc().fallocateAsync(range)) === 0) return
  if (libc().fallocate(range) !== 0) throw lastError('fallocate')
}
