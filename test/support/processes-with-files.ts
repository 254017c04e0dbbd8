import { readdir, readlink } from 'node:fs/promises'

/** Pids of the processes that have a file below a directory open, whether it has a name still or not. */
export async function processesWithFilesBelow(directory: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const found = await Promise.all(pids.map(async (pid) => ((await hasFileBelow(pid, directory)) ? [pid] : [])))
  return found.flat()
}

async function hasFileBelow(pid: number, directory: string): Promise<boolean> {
  const fds = await readdir(`/proc/${pid}/fd`).catch(() => [])
  const targets = await Promise.all(fds.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')))
  return targets.some((target) => target.startsWith(`${directory}/`))
}
