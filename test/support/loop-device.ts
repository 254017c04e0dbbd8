import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

export interface LoopDevice extends AsyncDisposable {
  readonly path: string
}

/**
 * A loop device of its own for a file, until it is disposed of. Needs root. `mount -o loop` takes the device that a file has already, if it has one, and after
 * umount a busy machine lets go of that some time later: who writes the file anew and mounts it again would see what it was before.
 */
export async function attachLoop(file: string, access: 'ro' | 'rw'): Promise<LoopDevice> {
  const { stdout } = await run('losetup', ['--find', '--show', ...(access === 'ro' ? ['--read-only'] : []), file])
  const path = stdout.trim()
  return { path, [Symbol.asyncDispose]: async () => void (await run('losetup', ['-d', path])) }
}
