import { execFile } from 'node:child_process'
import { mkdtemp, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { promisify } from 'node:util'
import { attachLoop, type LoopDevice } from './loop-device.ts'

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
  const loops: LoopDevice[] = []
  try {
    for (const file of [image, ...parts]) loops.push(await attachLoop(file, 'ro'))
    const [device = '', ...others] = loops.map(({ path }) => path)
    const options = ['ro', ...others.map((path) => `device=${path}`)]
    await run('mount', ['-t', 'erofs', '-o', options.join(','), device, directory], { timeout: 30_000 })
    try {
      return await use(directory)
    } finally {
      await run('umount', [directory], { timeout: 30_000 })
    }
  } finally {
    for (const loop of loops) await loop[Symbol.asyncDispose]()
    await rmdir(directory)
  }
}

/** An image with something behind it: fsck.erofs reads a header of attributes behind each inode, also of the last one that has none (seen with 1.5). */
export function withSpare(image: Buffer): Buffer {
  return Buffer.concat([image, Buffer.alloc(4096)])
}

/** Has fsck.erofs read an image, all file contents included; throws with what it printed when it finds anything wrong. */
export async function fsckErofs(image: string): Promise<void> {
  const { stdout, stderr } = await run('fsck.erofs', ['--extract', image], { timeout: 60_000 })
  if (/<[EW]>|error|fail/i.test(stdout + stderr)) throw new Error(`fsck.erofs: ${stdout}${stderr}`)
}
