import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { attachLoop } from '../../test/support/loop-device.ts'
import { runCommand } from './run-command.ts'

/** The programs that it takes. */
export const mountTools = ['nbdfuse', 'losetup', 'mount', 'chroot']

export interface MountedNbd extends AsyncDisposable {
  /** The root of the image. */
  readonly root: string
}

/**
 * Has this machine's kernel mount the erofs that an NBD server has on a unix socket, by way of nbdfuse and a loop device. Needs root.
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
    const loop = await attachLoop(file, 'ro')
    undo.push(() => loop[Symbol.asyncDispose]() as Promise<void>)
    await runCommand('mount', ['-t', 'erofs', '-o', 'ro', loop.path, root])
    undo.push(() => unmount(root))
    return { root, [Symbol.asyncDispose]: end }
  } catch (error) {
    await end()
    throw error
  }
}

/** A program that has ended may still be reading, and the kernel lets go of a loop device's file some time after the device was detached. */
async function unmount(directory: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      return void (await runCommand('umount', [directory]))
    } catch (error) {
      if (tries === 500) throw error
      await sleep(20)
    }
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
