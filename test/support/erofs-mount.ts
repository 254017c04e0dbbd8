import { execFile } from 'node:child_process'
import { mkdtemp, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { promisify } from 'node:util'

export { type Contents, expectedOf } from './expected-tree.ts'
export { type PathFacts, snapshotOfDirectory, type TreeSnapshot } from './snapshot-tree.ts'

const run = promisify(execFile)

/**
 * Has this machine's kernel mount an erofs image read-only, gives the mount point, and unmounts whatever happens. Needs root.
 *
 * @param parts files that hold the image's further devices, in the order of its table
 */
export async function withMountedErofs<T>(
  image: string,
  use: (directory: string) => T | Promise<T>,
  parts: readonly string[] = [],
): Promise<T> {
  const directory = await mkdtemp(`${tmpdir()}/cowshed-erofs-`)
  const loops: string[] = []
  try {
    for (const part of parts) loops.push(await attachLoop(part))
    const options = ['ro', 'loop', ...loops.map((loop) => `device=${loop}`)]
    await run('mount', ['-t', 'erofs', '-o', options.join(','), image, directory], { timeout: 30_000 })
    try {
      return await use(directory)
    } finally {
      await run('umount', [directory], { timeout: 30_000 })
    }
  } finally {
    for (const loop of loops) await run('losetup', ['-d', loop])
    await rmdir(directory)
  }
}

async function attachLoop(file: string): Promise<string> {
  const { stdout } = await run('losetup', ['--find', '--show', '--read-only', file])
  return stdout.trim()
}

/** Has fsck.erofs read an image, all file contents included; throws with what it printed when it finds anything wrong. */
export async function fsckErofs(image: string): Promise<void> {
  const { stdout, stderr } = await run('fsck.erofs', ['--extract', image], { timeout: 60_000 })
  if (/<[EW]>|error|fail/i.test(stdout + stderr)) throw new Error(`fsck.erofs: ${stdout}${stderr}`)
}
