import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { mountErofs } from './mount-erofs.ts'
import { unmount } from './unmount.ts'

/** The programs that it takes. */
export const mountTools = ['nbdfuse', 'losetup', 'mount', 'chroot']

export interface MountedNbd extends AsyncDisposable {
  /** The root of the image. */
  readonly root: string
}

/**
 * Has this machine's kernel mount the erofs that an NBD server has on a unix socket, by way of nbdfuse. Needs root.
 *
 * @param scratch an empty directory
 */
export async function mountNbd(socket: string, scratch: string): Promise<MountedNbd> {
  const undo: (() => Promise<unknown>)[] = []
  const end = async () => {
    for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step()
  }
  try {
    const [directory, root] = [join(scratch, 'nbd'), join(scratch, 'root')]
    for (const path of [directory, root]) await mkdir(path)
    const file = join(directory, 'file')
    const fuse = spawn('nbdfuse', ['-r', file, `nbd+unix:///?socket=${socket}`], { stdio: 'inherit' })
    undo.push(async () => {
      await unmount(directory)
      await exited(fuse)
    })
    while (!(await isThere(file))) {
      if (fuse.exitCode !== null) throw new Error(`nbdfuse ended with code ${fuse.exitCode}`)
      await sleep(2)
    }
    const mounted = await mountErofs(file, root)
    undo.push(async () => await mounted[Symbol.asyncDispose]())
    return { root, [Symbol.asyncDispose]: end }
  } catch (error) {
    await end()
    throw error
  }
}

async function exited(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
}

async function isThere(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  )
}
