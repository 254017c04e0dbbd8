import { type Dirent, lstatSync, readdirSync, type Stats } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { errnoCode, problemFromSystem } from '../base/index.ts'
import type { DiskFile } from './disk-file.ts'

/** How long others may have to wait, in milliseconds. */
const turnMs = 4

/**
 * Every regular file below a directory, by path. Symbolic links are not followed; what vanishes while we look was not there. Each look is made in
 * the open, a few milliseconds of them at a time: a trip to another thread would cost many times what lstat does.
 *
 * @throws Problem PERMISSION_DENIED, IO_FAILED naming the directory: a figure that leaves something out would be a wrong one
 */
export async function findFiles(root: string): Promise<Map<string, DiskFile>> {
  const found = new Map<string, DiskFile>()
  const directories = [root]
  let since = performance.now()
  for (let directory = directories.pop(); directory !== undefined; directory = directories.pop()) {
    for (const entry of entriesOf(directory)) {
      const path = join(directory, entry.name)
      if (entry.isDirectory()) directories.push(path)
      else if (entry.isFile()) look(path, found)
      if (performance.now() - since < turnMs) continue
      await nextTurn()
      since = performance.now()
    }
  }
  return found
}

function entriesOf(directory: string): Dirent[] {
  return unlessGone(() => readdirSync(directory, { withFileTypes: true }), `read ${directory}`) ?? []
}

function look(path: string, found: Map<string, DiskFile>): void {
  const stats: Stats | undefined = unlessGone(() => lstatSync(path), `read the size of ${path}`)
  if (stats === undefined) return
  // st_blocks counts 512 bytes whatever st_blksize says: inode(7).
  const size = { logical_bytes: stats.size, physical_bytes: stats.blocks * 512 }
  const inode = `${stats.dev}:${stats.ino}`
  found.set(path, { path, size, modifiedAt: stats.mtimeMs, changedAt: stats.ctimeMs, inode, links: stats.nlink })
}

function unlessGone<T>(look: () => T, doing: string): T | undefined {
  try {
    return look()
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return undefined
    throw problemFromSystem(error, doing)
  }
}
