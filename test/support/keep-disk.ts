import { execFileSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/**
 * Keeps a disk, which is the file of a loop device, as it is whenever that is asked for: without what the kernel has not written yet, as after a crash of the host.
 * Not once more while nothing was written to it: the kernel does that when it is told to sync, and now and then.
 *
 * @param as what keptDisks finds them by
 */
export function diskKeeper(disk: string, as: string): () => void {
  let lastWritten = 0n
  let kept = 0
  return () => {
    const { mtimeNs } = statSync(disk, { bigint: true })
    if (mtimeNs === lastWritten) return
    lastWritten = mtimeNs
    execFileSync('cp', ['--sparse=always', disk, `${disk}.${as}-${kept++}`])
  }
}

/** All that was kept of a disk under a name: files to be mounted. */
export async function keptDisks(disk: string, as: string): Promise<string[]> {
  const directory = dirname(disk)
  const names = await readdir(directory)
  return names.filter((name) => name.startsWith(`${basename(disk)}.${as}-`)).map((name) => join(directory, name))
}
