import { accessSync, constants } from 'node:fs'
import { access, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { dataLayout } from '../../src/base/index.ts'
import { lockFile, runTool } from '../../src/host/index.ts'
import {
  debianKernelPackage,
  downloadDebianKernel,
  ensureVmUser,
  installKernel,
  type KernelFiles,
  type KernelSource,
} from '../../src/machines/index.ts'

const guest = join(import.meta.dirname, '../../guest')
let kernel: Promise<KernelFiles> | undefined

/** The tools that testKernel needs, for `needs({tools})`. */
export const kernelTools = ['make', 'musl-gcc', 'apt-get', 'dpkg-deb', 'xz']

/**
 * Debian's kernel with the guest agent of this tree, ready to boot. The package is downloaded once per machine, whatever number of test
 * workers and runs want it.
 */
export function testKernel(): Promise<KernelFiles> {
  kernel ??= prepareKernel()
  return kernel
}

/** The guest agent of this tree, built. */
export async function testAgent(): Promise<string> {
  const cache = await cacheDirectory()
  using _ = await lockFile(join(cache, 'lock'), { mode: 'exclusive', wait: true })
  return await buildAgent()
}

/** A kernel and its modules, as files that stay. */
export async function testKernelSource(): Promise<KernelSource> {
  const cache = await cacheDirectory()
  using _ = await lockFile(join(cache, 'lock'), { mode: 'exclusive', wait: true })
  return await kernelSource(cache)
}

async function prepareKernel(): Promise<KernelFiles> {
  const cache = await cacheDirectory()
  using _ = await lockFile(join(cache, 'lock'), { mode: 'exclusive', wait: true })
  const { vmlinuz, modules } = await kernelSource(cache)
  // As root every test has VMs that are not root, as `cowshed setup` sees to.
  await ensureVmUser()
  const agentPath = await buildAgent()
  const { files } = await installKernel(dataLayout(join(cache, 'data')), { kernel: vmlinuz, modules, agentPath })
  return files
}

async function buildAgent(): Promise<string> {
  await runTool('make', ['-C', guest, 'build/cowshed-agent'], { timeoutMs: 120_000 })
  return join(guest, 'build/cowshed-agent')
}

async function kernelSource(cache: string): Promise<KernelSource> {
  const kept = join(cache, `package-${process.arch}`)
  if (!(await exists(kept))) {
    const fresh = await mkdtemp(join(cache, 'download-'))
    try {
      await downloadDebianKernel({ package: await debianKernelPackage(), to: fresh })
      await rename(fresh, kept)
    } finally {
      await rm(fresh, { recursive: true, force: true })
    }
  }
  const boot = join(kept, 'root/boot')
  const image = (await readdir(boot)).find((name) => name.startsWith('vmlinuz-'))
  if (image === undefined) throw new Error(`no kernel in ${boot}: remove ${kept}`)
  const release = image.replace('vmlinuz-', '')
  const lib = (await exists(join(kept, 'root/usr/lib/modules'))) ? 'usr/lib' : 'lib'
  return { vmlinuz: join(boot, image), modules: join(kept, 'root', lib, 'modules', release) }
}

async function cacheDirectory(): Promise<string> {
  const cache = isWritable('/var/cache')
    ? '/var/cache/cowshed-test'
    : join(tmpdir(), `cowshed-test-${userInfo().username}`)
  await mkdir(cache, { recursive: true, mode: 0o700 })
  return cache
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK)
    return true
  } catch {
    return false
  }
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  )
}
