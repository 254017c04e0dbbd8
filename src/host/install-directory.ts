import { lstat, readdir, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { errnoCode, Problem } from '../base/index.ts'
import { installProblem, syncFile } from './install-file.ts'
import { lastError, libc } from './libc.ts'
import { syncDirectory } from './sync-directory.ts'

/**
 * Makes a finished directory visible under its final name, whole and durable: every file and directory in it is fsynced, then it is
 * renamed, then the directory that holds it is fsynced. Of two calls for the same `to`, one wins and the other gets FILE_EXISTS.
 *
 * @throws Problem FILE_EXISTS when there is anything at `to`, even an empty directory; NO_SPACE, FILE_NOT_FOUND, IO_FAILED. `from` is
 *   then still in staging, for its owner to remove.
 */
export async function installDirectory({ from, to }: { from: string; to: string }): Promise<void> {
  try {
    await syncTree(from)
    await renameNew(from, to)
  } catch (error) {
    throw installProblem(error, from, to)
  }
  await syncDirectory(dirname(to))
}

async function syncTree(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) await syncTree(path)
    // A symbolic link or a socket has nothing to sync but its name, which is the directory's.
    else if (entry.isFile()) await syncFile(path)
  }
  await syncDirectory(directory)
}

async function renameNew(from: string, to: string): Promise<void> {
  if (libc().renameNoReplace(from, to) === 0) return
  const error = lastError('renameat2')
  // EINVAL: a filesystem without RENAME_NOREPLACE. The look and the rename are then two steps; a directory with files in it is safe still.
  if (error.code !== 'EINVAL' && error.code !== 'ENOSYS') throw error
  if (await exists(to)) throw new Problem('FILE_EXISTS', `${to} exists`)
  await rename(from, to)
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return false
    throw error
  }
}
