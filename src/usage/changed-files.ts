import type { DiskFile } from './disk-file.ts'

/**
 * Files that are not as they were the last time, by path; none of them has come, gone, or become another file.
 *
 * @returns undefined when any has: then whose each is has to be found out anew
 */
export function changedFiles(
  then: ReadonlyMap<string, DiskFile>,
  now: ReadonlyMap<string, DiskFile>,
): ReadonlyMap<string, DiskFile> | undefined {
  if (then.size !== now.size) return undefined
  const changed = new Map<string, DiskFile>()
  for (const [path, file] of now) {
    const before = then.get(path)
    if (before === file) continue
    if (before?.inode !== file.inode || before.links !== file.links) return undefined
    changed.set(path, file)
  }
  return changed
}
