import { chmod, copyFile, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type DataLayout, isProblem, type OnProgress, Problem, problemFromSystem } from '../../base/index.ts'
import { installDirectory, openStaging, writeFileAtomically } from '../../host/index.ts'
import type { KernelFiles } from '../kernel-files.ts'
import { buildInitrd, initrdVersion } from './build-initrd.ts'
import { checkVmlinuz } from './check-vmlinuz.ts'
import { kernelFiles } from './current-kernel.ts'
import { debianKernelPackage, downloadDebianKernel, type KernelPackage, type KernelSource } from './debian-kernel.ts'
import { installedKernels, isWhole, sha256 } from './installed-kernels.ts'
import type { KernelRecord } from './kernel-record.ts'
import { readModuleTree } from './module-tree.ts'
import { type GuestModule, resolveModules } from './resolve-modules.ts'

export interface InstallKernel {
  /** The boot image of a kernel; Debian's cloud kernel is downloaded when left out. */
  readonly kernel?: string
  /** `/lib/modules/<release>` of that kernel; left out when it has all that a shed needs built in. */
  readonly modules?: string
  /** The static guest agent. */
  readonly agentPath: string
  readonly onProgress?: OnProgress
}

export interface InstalledKernel {
  readonly files: KernelFiles
  /** `present` when the very same kernel, modules and agent were installed already. */
  readonly outcome: 'installed' | 'present'
}

/**
 * Makes a guest kernel ready to boot, and the current one: vmlinuz and an initrd with the modules and the agent, under an id that is the
 * digest of what they were made of. Kernels that were installed before stay.
 *
 * @throws Problem KERNEL_INVALID, KERNEL_NOT_FOUND, FILE_NOT_FOUND, TOOL_NOT_FOUND, NO_SPACE; nothing has changed then
 */
export async function installKernel(layout: DataLayout, options: InstallKernel): Promise<InstalledKernel> {
  if (options.kernel === undefined && options.modules !== undefined) {
    throw new Problem('INVALID_REQUEST', 'modules are of no use without their kernel', {
      hint: 'name both: cowshed setup --kernel PATH --modules DIR',
    })
  }
  const agent = await readAgent(options.agentPath)
  const wanted = options.kernel === undefined ? await debianKernelPackage() : undefined
  const known = wanted === undefined ? undefined : await knownKernel(layout, { package: wanted, agent })
  const { record, outcome } = known ?? (await makeAndInstall(layout, { options, agent, wanted }))
  // Last: from here on sheds boot it.
  await writeFileAtomically(layout.currentKernel, Buffer.from(`${record.id}\n`))
  return { files: kernelFiles(layout, record), outcome }
}

interface Outcome {
  readonly record: KernelRecord
  readonly outcome: InstalledKernel['outcome']
}

/** The kernel of that package with that agent, when it is installed and whole: there is nothing to download then. */
async function knownKernel(
  layout: DataLayout,
  wanted: { readonly package: KernelPackage; readonly agent: Buffer },
): Promise<Outcome | undefined> {
  const record = (await installedKernels(layout)).find(
    (kernel) =>
      kernel.package === packageText(wanted.package) &&
      kernel.agent_sha256 === sha256(wanted.agent) &&
      kernel.initrd_version === initrdVersion,
  )
  return record !== undefined && (await isWhole(layout, record)) ? { record, outcome: 'present' } : undefined
}

interface Making {
  readonly options: InstallKernel
  readonly agent: Buffer
  /** To be downloaded; undefined when the user brings a kernel. */
  readonly wanted: KernelPackage | undefined
}

async function makeAndInstall(layout: DataLayout, making: Making): Promise<Outcome> {
  await using staging = await openStaging(layout, 'kernel')
  const parts = await readParts(making, await kernelSource(making, staging.path))
  const made = join(staging.path, 'made')
  const record = await makeKernel(parts, made)
  return { record, outcome: await install(layout, { record, made, staging: staging.path }) }
}

type ChosenSource = Omit<KernelSource, 'modules'> & { readonly modules: string | undefined }

async function kernelSource({ options, wanted }: Making, staging: string): Promise<ChosenSource> {
  const { kernel, modules, onProgress } = options
  if (kernel !== undefined) return { vmlinuz: kernel, modules }
  const to = join(staging, 'package')
  await mkdir(to)
  return await downloadDebianKernel({ package: wanted ?? (await debianKernelPackage()), to, onProgress })
}

interface KernelParts {
  readonly vmlinuz: string
  readonly vmlinuzSha256: string
  readonly release: string
  readonly modules: readonly GuestModule[]
  readonly agent: Buffer
  readonly package: string | undefined
}

async function readParts({ agent, wanted }: Making, { vmlinuz, modules }: ChosenSource): Promise<KernelParts> {
  const image = await checkVmlinuz(vmlinuz)
  const resolved = modules === undefined ? { modules: [], release: undefined } : await modulesIn(modules)
  if (image.release !== undefined && resolved.release !== undefined && image.release !== resolved.release) {
    throw new Problem('KERNEL_INVALID', `the kernel is ${image.release}, its modules are for ${resolved.release}`, {
      hint: `name the modules of that kernel: --modules /lib/modules/${image.release}`,
    })
  }
  return {
    vmlinuz,
    vmlinuzSha256: sha256(await readFile(vmlinuz)),
    release: image.release ?? resolved.release ?? 'unknown',
    modules: resolved.modules,
    agent,
    package: wanted === undefined ? undefined : packageText(wanted),
  }
}

async function modulesIn(directory: string): ReturnType<typeof resolveModules> {
  return await resolveModules(await readModuleTree(directory))
}

async function readAgent(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    if (!isProblem(error)) throw problemFromSystem(error, `read the guest agent ${path}`)
    throw error
  }
}

async function makeKernel(parts: KernelParts, to: string): Promise<KernelRecord> {
  await mkdir(to, { mode: 0o755 })
  const initrd = buildInitrd(parts)
  const initrdSha256 = sha256(initrd)
  const record: KernelRecord = {
    id: sha256(Buffer.from(`cowshed kernel ${initrdVersion} ${parts.vmlinuzSha256} ${initrdSha256}`)).slice(0, 32),
    release: parts.release,
    ...(parts.package === undefined ? {} : { package: parts.package }),
    initrd_version: initrdVersion,
    vmlinuz_sha256: parts.vmlinuzSha256,
    initrd_sha256: initrdSha256,
    agent_sha256: sha256(parts.agent),
    modules: parts.modules.map(({ name }) => name),
  }
  await copyFile(parts.vmlinuz, join(to, 'vmlinuz'))
  await writeFile(join(to, 'initrd'), initrd)
  // Distributions keep theirs from everybody but root, as the daemon's umask does, and VMMs are not root.
  for (const name of ['vmlinuz', 'initrd']) await chmod(join(to, name), 0o644)
  await writeFile(join(to, 'kernel.json'), `${JSON.stringify(record, null, 2)}\n`, { mode: 0o644 })
  return record
}

interface Made {
  readonly record: KernelRecord
  readonly made: string
  readonly staging: string
}

async function install(layout: DataLayout, { record, made, staging }: Made): Promise<InstalledKernel['outcome']> {
  const to = layout.kernel(record.id).dir
  await mkdir(layout.kernels, { recursive: true, mode: 0o755 })
  try {
    await installDirectory({ from: made, to })
    return 'installed'
  } catch (error) {
    if (!isProblem(error, 'FILE_EXISTS')) throw error
  }
  if (await isWhole(layout, record)) return 'present'
  // Damaged since. VMMs read a kernel only when they start, so it can go while sheds run.
  await rename(to, join(staging, 'damaged'))
  await installDirectory({ from: made, to })
  return 'installed'
}

function packageText({ name, version }: KernelPackage): string {
  return `${name}=${version}`
}
