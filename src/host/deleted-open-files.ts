import { readdirSync, readlinkSync, type Stats, statSync } from 'node:fs'

export interface DeletedOpenFile {
  /** Opens it: `/proc/…/fd/…`. */
  readonly path: string
  /** Where it was. */
  readonly formerPath: string
  readonly pid: number
  readonly stats: Stats
}

/**
 * Files below a directory that have no name any more and that these processes keep open, so that they still take their space. Processes that
 * have ended or that this user may not look into have none.
 *
 * @see proc_pid_fd(5)
 */
export function deletedOpenFiles(directory: string, pids: readonly number[]): DeletedOpenFile[] {
  const found = pids.flatMap((pid) => descriptorsOf(pid).flatMap((fd) => deletedFile(directory, pid, fd)))
  return [...new Map(found.map((file) => [`${file.stats.dev}:${file.stats.ino}`, file])).values()]
}

function descriptorsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`)
  } catch {
    return []
  }
}

const suffix = ' (deleted)'

function deletedFile(directory: string, pid: number, fd: string): DeletedOpenFile[] {
  const path = `/proc/${pid}/fd/${fd}`
  try {
    const target = readlinkSync(path)
    if (!target.startsWith(`${directory}/`) || !target.endsWith(suffix)) return []
    const stats = statSync(path)
    // A file may be called so and be there.
    if (stats.nlink > 0 || !stats.isFile()) return []
    return [{ path, formerPath: target.slice(0, -suffix.length), pid, stats }]
  } catch {
    // Closed meanwhile.
    return []
  }
}
