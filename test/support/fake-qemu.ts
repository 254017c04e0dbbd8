import { chmod, copyFile, mkdir, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import type { DataLayout } from '../../src/base/index.ts'
import { bootId } from '../../src/host/index.ts'
import { ensureVmUser } from '../../src/machines/index.ts'
import { bundleScript } from './bundle-script.ts'
import { temporaryDirectory } from './temporary-directory.ts'

export interface FakeQemu extends AsyncDisposable {
  /** For a program that is to find it. */
  readonly env: { readonly PATH: string }
}

/**
 * Puts a program before QEMU on the PATH of this thread until it is disposed of: fake-qemu-program.ts, which boots nothing, but keeps count of what a guest would
 * have written. Everything else is as with QEMU: processes, locks, sockets, its user. So a shed's whole life is some tenths of a second.
 */
export async function fakeQemu(): Promise<FakeQemu> {
  // As root VMMs are another user: it has to find the program, too.
  await ensureVmUser()
  const directory = await temporaryDirectory()
  await chmod(directory.path, 0o755)
  const program = join(directory.path, 'program.mjs')
  await copyFile(await bundleScript(new URL('./fake-qemu-program.ts', import.meta.url)), program)
  await chmod(program, 0o644)
  for (const name of ['qemu-system-x86_64', 'qemu-system-aarch64']) {
    await writeFile(join(directory.path, name), `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`)
    await chmod(join(directory.path, name), 0o755)
  }
  const before = process.env.PATH ?? ''
  const PATH = `${directory.path}${delimiter}${before}`
  process.env.PATH = PATH
  return {
    env: { PATH },
    [Symbol.asyncDispose]: async () => {
      process.env.PATH = before
      await directory[Symbol.asyncDispose]()
    },
  }
}

const kernelId = '0'.repeat(32)

/** A kernel that nothing but a fake can boot, and the verdict that there is no KVM. */
export async function installFakeKernel(layout: DataLayout): Promise<void> {
  const { dir, vmlinuz, initrd, record, accel } = layout.kernel(kernelId)
  await mkdir(dir, { recursive: true })
  for (const path of [vmlinuz, initrd]) await writeFile(path, 'nothing', { mode: 0o644 })
  const digests = { vmlinuz_sha256: '', initrd_sha256: '', agent_sha256: '' }
  const kernel = { id: kernelId, release: '6.1.0-fake', initrd_version: 1, modules: [], ...digests }
  await writeFile(record, JSON.stringify(kernel))
  const verdict = { acceleration: 'tcg', reason: 'fake', boot_id: bootId(), driver: 'qemu', driver_version: '7.2.22' }
  await writeFile(accel, JSON.stringify(verdict))
  await writeFile(layout.currentKernel, `${kernelId}\n`)
}
