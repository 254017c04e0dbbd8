import { constants } from 'node:fs'
import { rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Problem, problemFromSystem } from '../base/index.ts'
import { syncDirectory } from './sync-directory.ts'
import { syncPath } from './sync-path.ts'

export interface InstallFile {
  /** The finished file, in staging on the filesystem of `to`. */
  readonly from: string
  readonly to: string
  /** Permission bits, whatever the umask was; unchanged when left out. */
  readonly mode?: number
}

/**
 * Makes a finished file visible under its final name, whole and durable: fsync, rename, fsync of the directory. It takes the place of
 * a file that is there already.
 *
 * @throws Problem NO_SPACE, FILE_NOT_FOUND, IO_FAILED; `from` is then still in staging, for its owner to remove
 */
export async function installFile({ from, to, mode }: InstallFile): Promise<void> {
  try {
    await syncFile(from, mode)
    await rename(from, to)
  } catch (error) {
    throw installProblem(error, from, to)
  }
  await syncDirectory(dirname(to))
}

/**
 * Makes the content of a file durable, and gives it this mode when there is one.
 *
 * @throws Problem NO_SPACE (what the kernel had only promised to write), FILE_NOT_FOUND, IO_FAILED
 */
export async function syncFile(path: string, mode?: number): Promise<void> {
  try {
    await syncPath(path, { flags: constants.O_RDONLY, mode })
  } catch (error) {
    throw problemFromSystem(error, `sync ${path}`)
  }
}

export function installProblem(error: unknown, from: string, to: string): Problem {
  if (error instanceof Error && 'code' in error && error.code === 'EXDEV') {
    return new Problem('IO_FAILED', `cannot install ${to}: ${from} is on another filesystem`, {
      hint: 'keep the whole data directory on one filesystem',
      cause: error,
    })
  }
  return problemFromSystem(error, `install ${to}`)
}
