import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoCode, problemFromSystem } from '../base/index.ts'
import type { DiskFile } from './disk-file.ts'

/**
 * Every regular file below a directory, by path. Symbolic links are not followed; what vanishes while we look was not there.
 *
 * @throws Problem PERMISSION_DENIED, IO_FAILED naming the directory: a figure that leaves something out would be a wrong one
 */
export async function findFiles(root: string): Promise<Map<string, DiskFile>> {
  const found = new Map<string, DiskFile>()
  await walk(root, found)
  return found
}

async function walk(directory: string, found: Map<string, DiskFile>): Promise<void> {
  const entries = await unlessGone(readdir(directory, { withFileTypes: true }), `read ${directory}`)
  await Promise.all(
    (entries ?? []).map(async (entry) => {
      const path = join(directory, entry.name)
      if (entry.isDirectory()) return await walk(path, found)
      if (!entry.isFile()) return
      const stats = await unlessGone(lstat(path), `read the size of ${path}`)
      if (stats === undefined) return
      // st_blocks counts 512 bytes whatever st_blksize says: inode(7).
      const size = { logical_bytes: stats.size, physical_bytes: stats.blocks * 512 }
      const inode = `${stats.dev}:${stats.ino}`
      found.set(path, { path, size, modifiedAt: stats.mtimeMs, changedAt: stats.ctimeMs, inode, links: stats.nlink })
    }),
  )
}

async function unlessGone<T>(looked: Promise<T>, doing: string): Promise<T | undefined> {
  try {
    return await looked
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return undefined
    throw problemFromSystem(error, doing)
  }
}
