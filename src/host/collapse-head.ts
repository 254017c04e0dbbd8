import { lastError, libc } from './libc.ts'

/**
 * Takes the first bytes out of an open file in one step: whoever appends to it meanwhile does so before or after, and a crash leaves all or nothing of it.
 *
 * @param bytes whole blocks of the filesystem, and less than the file has
 * @returns false where that cannot be done: on btrfs and tmpfs, or when these are no whole blocks
 * @throws a system error
 * @see fallocate(2), FALLOC_FL_COLLAPSE_RANGE
 */
export function collapseHead(fd: number, bytes: number): boolean {
  if (process.platform !== 'linux') return false
  for (;;) {
    if (libc().collapseHead(fd, bytes) === 0) return true
    const error = lastError('fallocate')
    if (error.code === 'EINTR') continue
    if (cannot.has(error.code ?? '')) return false
    throw error
  }
}

/** EINVAL: no whole blocks; EPERM: a file of swap, or one that only grows; ETXTBSY: one that runs. */
const cannot = new Set(['EOPNOTSUPP', 'ENOTSUP', 'ENOSYS', 'EINVAL', 'EPERM', 'ETXTBSY'])
