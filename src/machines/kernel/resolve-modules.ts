import { Problem } from '../../base/index.ts'
import { type ModuleTree, readModule } from './module-tree.ts'
import { type ModuleInfo, readModuleInfo } from './read-module-info.ts'

/** A module of the initrd. */
export interface GuestModule {
  readonly name: string
  readonly bytes: Buffer
}

/**
 * What a shed cannot do without, in the order in which the boot wants it: the drives and the agent's channel first. pvpanic tells the
 * host of a panic.
 */
export const neededModules = [
  'virtio_mmio',
  'virtio_blk',
  'virtio_console',
  'erofs',
  'overlay',
  'ext4',
  'virtio_rng',
  'virtio_net',
] as const

/** Only x86 has the device. */
export const usefulModules = ['pvpanic_mmio'] as const

/**
 * The modules that the guest has to load, each after those it depends on, without what is built into the kernel.
 *
 * @returns them and the release that they were built for; undefined when there are none to load
 * @throws Problem KERNEL_INVALID when the kernel lacks one that is needed, or has modules of several releases
 */
export async function resolveModules(
  tree: ModuleTree,
): Promise<{ modules: GuestModule[]; release: string | undefined }> {
  const modules: GuestModule[] = []
  const releases = new Set<string>()
  const visited = new Set<string>()

  const add = async (name: string, wanted: 'needed' | 'useful'): Promise<void> => {
    if (visited.has(name) || tree.builtin.has(name)) return
    visited.add(name)
    const path = tree.files.get(name)
    if (path === undefined) {
      if (wanted === 'useful') return
      throw lacks(tree, name)
    }
    const bytes = await readModule(path)
    const info = readModuleInfo(bytes, path)
    await addAll(info, wanted)
    releases.add(info.vermagic.split(' ')[0] ?? '')
    modules.push({ name: info.name, bytes })
  }
  const addAll = async ({ before, depends }: ModuleInfo, wanted: 'needed' | 'useful') => {
    for (const name of before) await add(name, 'useful')
    for (const name of depends) await add(name, wanted)
  }

  for (const name of neededModules) await add(name, 'needed')
  for (const name of usefulModules) await add(name, 'useful')
  if (releases.size > 1) {
    throw new Problem(
      'KERNEL_INVALID',
      `the modules in ${tree.directory} are of several kernels: ${[...releases].join(', ')}`,
    )
  }
  return { modules, release: [...releases][0] }
}

function lacks(tree: ModuleTree, name: string): Problem {
  return new Problem('KERNEL_INVALID', `the kernel has no ${name}, neither built in nor in ${tree.directory}`, {
    hint: `a shed needs ${neededModules.join(', ')}; Debian's cloud kernel has them all: cowshed setup`,
    data: { module: name },
  })
}
