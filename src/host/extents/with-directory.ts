import { closeSync, constants, openSync } from 'node:fs'

/** Does something with an open directory. @throws a system error */
export function withDirectory<T>(directory: string, use: (fd: number) => T): T {
  const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    return use(fd)
  } finally {
    closeSync(fd)
  }
}
