import { promisify } from 'node:util'
import koffi from 'koffi'
import { attachLoop } from '../../test/support/loop-device.ts'
import { runCommand } from './run-command.ts'
import { unmount } from './unmount.ts'

/**
 * Mounts the erofs that a file is: the kernel reads the file itself where it can (Linux 6.12), which mount(8) does not know, or else a loop device over it. Needs root.
 *
 * @param file may be served by this process, which goes on meanwhile
 * @param root an empty directory
 * @see mount(2); Documentation/filesystems/erofs.rst
 */
export async function mountErofs(file: string, root: string): Promise<AsyncDisposable> {
  if (await mountFile(file, root)) return { [Symbol.asyncDispose]: () => unmount(root) }
  const loop = await attachLoop(file, 'ro')
  try {
    await runCommand('mount', ['-t', 'erofs', '-o', 'ro', loop.path, root])
  } catch (error) {
    await loop[Symbol.asyncDispose]()
    throw error
  }
  return {
    async [Symbol.asyncDispose]() {
      await unmount(root)
      await loop[Symbol.asyncDispose]()
    },
  }
}

/** sys/mount.h */
const MS_RDONLY = 1

async function mountFile(file: string, root: string): Promise<boolean> {
  const mount = koffi.load(null).func('mount', 'int', ['str', 'str', 'str', 'ulong', 'str'])
  const call = promisify<string, string, string, number, string, number>(mount.async)
  return (await call(file, root, 'erofs', MS_RDONLY, '')) === 0
}
