import { execFile } from 'node:child_process'
import { mkdtemp, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { promisify } from 'node:util'
import { attachLoop } from './loop-device.ts'
import { snapshotOfDirectory, type TreeSnapshot } from './snapshot-tree.ts'

const run = promisify(execFile)

/** Has this machine's kernel mount an ext4 image, gives the mount point, and unmounts whatever happens. Needs root. */
export async function withMountedExt4<T>(
  image: string,
  use: (directory: string) => T | Promise<T>,
  options = 'ro',
): Promise<T> {
  const directory = await mkdtemp(`${tmpdir()}/cowshed-ext4-`)
  try {
    await using loop = await attachLoop(image, options.startsWith('rw') ? 'rw' : 'ro')
    await run('mount', ['-t', 'ext4', '-o', options, loop.path, directory], { timeout: 30_000 })
    try {
      return await use(directory)
    } finally {
      await run('umount', [directory], { timeout: 30_000 })
    }
  } finally {
    await rmdir(directory)
  }
}

/** Has e2fsck look at everything; throws with what it printed when it finds anything at all. */
export async function fsckExt4(image: string): Promise<void> {
  const options = { timeout: 120_000, env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' } }
  try {
    await run('e2fsck', ['-fn', image], options)
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    throw new Error(`e2fsck: ${stdout}${stderr}`)
  }
}

/** A tree that is mounted, without the directory that every ext4 has. */
export function withoutLostAndFound(mounted: string): TreeSnapshot {
  const all = new Map(snapshotOfDirectory(mounted))
  const root = all.get('')
  all.delete('lost+found')
  if (root !== undefined) all.set('', { ...root, links: root.links - 1 })
  return all
}
