import type { Dirent } from 'node:fs'
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

/** What is side by side is synced at the same time: a filesystem then writes one commit of its journal for all of it. */
async function syncTree(directory: string): Promise<void> {
  const entries = await readdir(directory, { withFileTypes: true })
  // All have ended before the first failure is thrown: nothing goes on in a directory that its owner then removes.
  const results = await Promise.allSettled(entries.map((entry) => syncEntry(join(directory, entry.name), entry)))
  for (const result of results) if (result.status === 'rejected') throw result.reason
  await syncDirectory(directory)
}

async function syncEntry(path: string, entry: Dirent): Promise<void> {
  if (entry.isDirectory()) await syncTree(path)
  // A symbolic link or a socket has nothing to sync but its name, which is the directory's.
  else if (entry.isFile()) await syncFile(path)
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
