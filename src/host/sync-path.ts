import { closeSync, fchmodSync, fsync, openSync } from 'node:fs'
import { promisify } from 'node:util'

const fsyncFile = promisify(fsync)

export interface SyncPath {
  /** Of open(2). */
  readonly flags: number
  /** Permission bits that it gets before, if any. */
  readonly mode?: number | undefined
}

/**
 * fsync of what is at a path. Only the fsync itself goes to another thread: opening what has just been written waits for nothing, and each
 * trip to another thread costs more than all the rest; for a small file they were half the time.
 *
 * @throws a system error
 * @see fsync(2)
 */
export async function syncPath(path: string, { flags, mode }: SyncPath): Promise<void> {
  const fd = openSync(path, flags)
  try {
    if (mode !== undefined) fchmodSync(fd, mode)
    await fsyncFile(fd)
  } finally {
    closeSync(fd)
  }
}
