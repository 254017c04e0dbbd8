import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { isProblem, type OnProgress, Problem } from '../../base/index.ts'
import { runTool } from '../../host/index.ts'

/** A kernel and its modules as files, whoever brought them. */
export interface KernelSource {
  readonly vmlinuz: string
  /** `/lib/modules/<release>` of that kernel. */
  readonly modules: string
}

/** Debian's kernels for VMs: small, and with virtio, erofs and overlayfs. */
const metaPackages: Partial<Record<NodeJS.Architecture, string>> = {
  x64: 'linux-image-cloud-amd64',
  arm64: 'linux-image-cloud-arm64',
}

const ownKernel = 'or bring one: cowshed setup --kernel /boot/vmlinuz-… --modules /lib/modules/…'

/** A package of apt's, in one version. */
export interface KernelPackage {
  readonly name: string
  readonly version: string
}

/**
 * Debian's newest cloud kernel that apt knows: the package with the files, which the meta package depends on in exactly that version.
 *
 * @throws Problem KERNEL_NOT_FOUND, TOOL_NOT_FOUND
 */
export async function debianKernelPackage(): Promise<KernelPackage> {
  const meta = metaPackages[process.arch]
  if (meta === undefined) throw notFound(`Debian has no cloud kernel for ${process.arch}`, ownKernel)
  const shown = await runTool('apt-cache', ['show', '--no-all-versions', meta], { okCodes: [0, 100] })
  const found = imagePackage(shown.stdout.toString('latin1'))
  if (found === undefined) throw notFound(`apt knows no package ${meta}`, `run: apt-get update; ${ownKernel}`)
  return found
}

/** What a meta package depends on, in what apt-cache shows of it. */
export function imagePackage(shown: string): KernelPackage | undefined {
  const [, name, version] = /^Depends:.*?(linux-image-[a-z0-9.+-]+) \(= ([^)\s]+)\)/m.exec(shown) ?? []
  return name === undefined || version === undefined ? undefined : { name, version }
}

export interface DownloadKernel {
  readonly package: KernelPackage
  /** An empty directory. */
  readonly to: string
  readonly onProgress?: OnProgress | undefined
}

/**
 * Downloads a kernel package, with apt's own check of its chain of signatures, and unpacks it. Nothing is installed on this host, and no
 * root is needed.
 *
 * @throws Problem KERNEL_NOT_FOUND when apt cannot get it; TOOL_NOT_FOUND; NO_SPACE
 */
export async function downloadDebianKernel({ package: wanted, to, onProgress }: DownloadKernel): Promise<KernelSource> {
  const { name, version } = wanted
  onProgress?.({ phase: 'kernel', item: `${name} ${version}`, done: 0 })
  await download(`${name}=${version}`, to)
  const archive = (await readdir(to)).find((file) => file.endsWith('.deb'))
  if (archive === undefined) throw notFound(`apt-get download ${name} gave no package`, `try it again, ${ownKernel}`)
  const root = join(to, 'root')
  await mkdir(root)
  await runTool('dpkg-deb', ['--extract', join(to, archive), root], { timeoutMs: 300_000 })
  return await findKernel(root)
}

async function download(wanted: string, to: string): Promise<void> {
  // Without this root's apt drops to a user who may not write into our directory, and warns.
  const asUs = ['-o', 'APT::Sandbox::User=']
  try {
    await runTool('apt-get', [...asUs, 'download', wanted], { cwd: to, timeoutMs: 600_000 })
  } catch (error) {
    if (!isProblem(error, 'TOOL_FAILED')) throw error
    throw notFound(
      `cannot download ${wanted}: ${error.message}`,
      `check the network, run: apt-get update; ${ownKernel}`,
      error,
    )
  }
}

async function findKernel(root: string): Promise<KernelSource> {
  const image = (await readdir(join(root, 'boot')).catch(() => [])).find((file) => file.startsWith('vmlinu'))
  if (image === undefined) throw notFound('the package has no /boot/vmlinuz', ownKernel)
  const release = image.replace(/^vmlinu[xz]-/, '')
  // Debian 13 has merged /lib into /usr/lib inside its packages too.
  for (const lib of ['usr/lib/modules', 'lib/modules']) {
    const modules = join(root, lib, release)
    if ((await readdir(modules).catch(() => [])).length > 0) return { vmlinuz: join(root, 'boot', image), modules }
  }
  throw notFound(`the package has no modules for ${release}`, ownKernel)
}

function notFound(message: string, hint: string, cause?: unknown): Problem {
  return new Problem('KERNEL_NOT_FOUND', message, { hint, cause })
}
