import { attachLoop } from '../../test/support/loop-device.ts'
import { runCommand } from './run-command.ts'
import { unmount } from './unmount.ts'

/**
 * Mounts the erofs that a file is, as mount(8) does it: over a loop device. The kernel can mount such a file itself (Linux 6.12), but not one on a FUSE that may pass files through, and reads less ahead then:
 * who is compared has to be mounted in the same way. Needs root.
 *
 * @param file may be served by this process, which goes on meanwhile
 * @param root an empty directory
 */
export async function mountErofs(file: string, root: string): Promise<AsyncDisposable> {
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
