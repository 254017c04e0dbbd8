/** Linux's numbers (errno(3), asm-generic/errno*.h) of what the agent may well say; the host's own may differ. */
const numbers: Readonly<Record<string, number>> = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  ENOEXEC: 8,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  EMFILE: 24,
  ETXTBSY: 26,
  EFBIG: 27,
  ENOSPC: 28,
  EROFS: 30,
  EMLINK: 31,
  ENAMETOOLONG: 36,
  ENOSYS: 38,
  ENOTEMPTY: 39,
  ELOOP: 40,
  EPROTO: 71,
  EOPNOTSUPP: 95,
  EDQUOT: 122,
  ECANCELED: 125,
}

export function errnoName(number: number): string {
  return Object.keys(numbers).find((name) => numbers[name] === number) ?? `errno ${number}`
}

export function errnoNumber(name: string): number | undefined {
  return Object.hasOwn(numbers, name) ? numbers[name] : undefined
}

/** Whether it says that a path is not there. */
export function isMissing(number: number): boolean {
  return number === numbers.ENOENT || number === numbers.ENOTDIR
}
