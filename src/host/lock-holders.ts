import { readdir, readlink } from 'node:fs/promises'

/**
 * The processes that have a lock file open: for a file that only its lock's holder keeps open, the holder. /proc/locks would name the process
 * that took the lock, which is not the one that inherited it. Only descriptors and where they lead are looked at: what /proc has to ask a process's memory for, as its
 * command line, may wait for ever for one that hangs on a filesystem that does not answer.
 *
 * @param path absolute, without symlinks
 * @returns process ids; processes that this user may not look into are left out
 * @see proc_pid_fd(5)
 */
export async function lockHolders(path: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const holds = await Promise.all(pids.map((pid) => hasOpen(pid, path)))
  return pids.filter((pid, index) => holds[index] && pid !== process.pid)
}

async function hasOpen(pid: number, path: string): Promise<boolean> {
  try {
    for (const fd of await readdir(`/proc/${pid}/fd`)) {
      if ((await readlink(`/proc/${pid}/fd/${fd}`)) === path) return true
    }
  } catch {
    // It ended while we looked, or it is somebody else's.
  }
  return false
}
