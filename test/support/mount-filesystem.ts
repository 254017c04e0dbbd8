import { mkdir, open, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { runTool } from '../../src/host/index.ts'
import { collectGarbage } from './garbage.ts'
import { type TemporaryDirectory, temporaryDirectory } from './temporary-directory.ts'

export type FilesystemType = 'btrfs' | 'xfs' | 'ext4'

export interface Mounted {
  readonly directory: string
  /** What the filesystem is on, unless it is a tmpfs. */
  readonly backing: string
  [Symbol.asyncDispose](): Promise<void>
}

const mkfsOptions: Record<FilesystemType, readonly string[]> = {
  btrfs: ['-q', '-f'],
  xfs: ['-q', '-f', '-m', 'reflink=1'],
  // No share for root: a full disk is full for the tests too.
  ext4: ['-q', '-F', '-m', '0'],
}

/**
 * A fresh filesystem on a loop device, mounted until it is disposed of. Needs root. Sparse: it takes what is written to it.
 *
 * @param options of mount, besides loop
 * @param mkfs options of mkfs, besides its own
 */
export async function mountFresh(
  type: FilesystemType | 'tmpfs',
  sizeBytes: number,
  options: readonly string[] = [],
  mkfs: readonly string[] = [],
): Promise<Mounted> {
  const temporary = await temporaryDirectory()
  const [backing, directory] = [join(temporary.path, 'disk'), join(temporary.path, 'mnt')]
  try {
    await mkdir(directory)
    if (type === 'tmpfs') {
      await runTool('mount', ['-o', [`size=${sizeBytes}`, ...options].join(','), '-t', type, type, directory])
    } else {
      await (await open(backing, 'wx')).close()
      await truncate(backing, sizeBytes)
      await runTool(`mkfs.${type}`, [...mkfsOptions[type], ...mkfs, backing])
      // mount frees the loop device at umount by itself.
      await runTool('mount', ['-o', ['loop', ...options].join(','), '-t', type, backing, directory])
    }
  } catch (error) {
    await temporary[Symbol.asyncDispose]()
    throw error
  }
  return { directory, backing, [Symbol.asyncDispose]: () => unmount(directory, temporary) }
}

/** Mounts the filesystem that is in a file. Needs root. */
export async function mountFile(backing: string): Promise<Mounted> {
  const temporary = await temporaryDirectory()
  try {
    await runTool('mount', ['-o', 'loop', backing, temporary.path])
  } catch (error) {
    await temporary[Symbol.asyncDispose]()
    throw error
  }
  return { directory: temporary.path, backing, [Symbol.asyncDispose]: () => unmount(temporary.path, temporary) }
}

async function unmount(directory: string, temporary: TemporaryDirectory): Promise<void> {
  try {
    await closeDatabases()
    await runTool('umount', [directory])
  } catch (error) {
    // Lazily, so that no mount is left behind by a test that forgot to close a file; it is told of all the same.
    await runTool('umount', ['-l', directory])
    throw error
  } finally {
    await temporary[Symbol.asyncDispose]()
  }
}

/** SQLite closes the files of a database that was closed only when its statements are gone too, and those go with the garbage. */
async function closeDatabases(): Promise<void> {
  for (let round = 0; round < 3; round++) {
    collectGarbage()
    await setImmediate()
  }
}
