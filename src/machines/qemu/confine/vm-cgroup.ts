import { access, mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { errnoCode, problemFromSystem } from '../../../base/index.ts'
import type { MachineRecord, MachineSpec } from '../../driver.ts'
import { cgroupMount } from './cgroup-mount.ts'

type Sized = Pick<MachineSpec, 'id' | 'runDirectory' | 'cpus' | 'memoryBytes' | 'acceleration'>

/** What of a host is bounded for each VM, where its controller is one of version 2. */
export const boundBy = ['memory', 'cpu', 'pids'] as const

const mib = 2 ** 20

/**
 * The files of a machine's cgroup. What is in them is for a VMM that has gone wrong, by a defect or by its guest: one that has not comes to none
 * of them.
 *
 * @see Linux, Documentation/admin-guide/cgroup-v2.rst
 */
export function cgroupLimits({ cpus, memoryBytes, acceleration }: Sized): Record<string, string> {
  const periodUs = 100_000
  // Beside the guest's memory: QEMU itself, and its cache of translated code, of at most 256 MiB.
  const ownBytes = (acceleration === 'tcg' ? 512 : 256) * mib
  return {
    'memory.max': `${memoryBytes + ownBytes}`,
    // A VMM of which some threads are dead is of no use.
    'memory.oom.group': '1',
    // The vCPUs, and half a CPU for their disks and network.
    'cpu.max': `${(cpus + 0.5) * periodUs} ${periodUs}`,
    // Threads: those of the vCPUs, and at most 64 that wait for disks.
    'pids.max': `${cpus + 128}`,
  }
}

/**
 * Makes the cgroup of a machine, with its limits, in one of its data directory's own: below the root of what is mounted, so that it is not
 * ended with the service that the daemon is.
 *
 * @returns its path; undefined without root, and where there is no cgroup of version 2 that could be made
 */
export async function makeVmCgroup(machine: Sized, mount = cgroupMount()): Promise<string | undefined> {
  if (mount === undefined || process.geteuid?.() !== 0) return undefined
  const path = cgroupPath(mount, machine)
  try {
    // Something else may be mounted over it.
    await access(join(mount, 'cgroup.procs'))
    const parents = [dirname(dirname(path)), dirname(path)]
    for (const parent of parents) await mkdir(parent, { recursive: true })
    for (const parent of [mount, ...parents]) await delegate(parent)
    await mkdir(path, { recursive: true })
    for (const [file, limit] of Object.entries(cgroupLimits(machine))) await setLimit(join(path, file), limit)
    return path
  } catch (error) {
    if (['ENOENT', 'EROFS', 'EACCES', 'EPERM'].includes(errnoCode(error) ?? '')) return undefined
    throw problemFromSystem(error, `make the cgroup ${path}`)
  }
}

/** Removes the cgroup of a machine that is dead. One that cannot be removed now is by the next daemon. */
export async function removeVmCgroup({
  controlSocket,
  id,
}: Pick<MachineRecord, 'controlSocket' | 'id'>): Promise<void> {
  const mount = cgroupMount()
  if (mount === undefined) return
  const path = cgroupPath(mount, { runDirectory: dirname(controlSocket), id })
  // A process lets go of its locks a moment before it leaves its cgroup.
  for (let attempt = 0; attempt < 20 && !(await removeEmpty(path)); attempt++) await sleep(5)
}

/** Removes the cgroups of machines that died while no daemon was there to see it. Those that run keep theirs. */
export async function sweepVmCgroups(runDirectory: string): Promise<void> {
  const mount = cgroupMount()
  if (mount === undefined) return
  const ours = dirname(cgroupPath(mount, { runDirectory, id: '-' }))
  const entries = await readdir(ours, { withFileTypes: true }).catch(() => [])
  await Promise.all(entries.filter((entry) => entry.isDirectory()).map(({ name }) => removeEmpty(join(ours, name))))
  await removeEmpty(ours)
}

/** The controllers that bound VMs on this host. A cgroup that has processes, as a container's does, cannot pass on more than it does. */
export async function boundControllers(mount = cgroupMount()): Promise<string[]> {
  if (mount === undefined) return []
  const passesAll = (await wordsIn(join(mount, 'cgroup.type'))).length === 0
  const isEmpty = (await wordsIn(join(mount, 'cgroup.procs'))).length === 0
  return await wantedOf(join(mount, passesAll || isEmpty ? 'cgroup.controllers' : 'cgroup.subtree_control'))
}

async function wantedOf(list: string): Promise<string[]> {
  const names = new Set(await wordsIn(list))
  return boundBy.filter((controller) => names.has(controller))
}

/** None in a file that is not there: the root has no type. */
async function wordsIn(path: string): Promise<string[]> {
  const text = await readFile(path, 'utf8').catch(() => '')
  return text.split(/\s+/).filter((word) => word !== '')
}

function cgroupPath(mount: string, { runDirectory, id }: Pick<MachineSpec, 'runDirectory' | 'id'>): string {
  return join(mount, 'cowshed', basename(runDirectory), id)
}

/** One by one: a controller that is one of version 1, or that may not be passed on, is no reason not to have the others. */
async function delegate(parent: string): Promise<void> {
  for (const controller of await wantedOf(join(parent, 'cgroup.controllers'))) {
    await writeFile(join(parent, 'cgroup.subtree_control'), `+${controller}`).catch(() => undefined)
  }
}

async function setLimit(path: string, limit: string): Promise<void> {
  try {
    await writeFile(path, limit, { flag: 'r+' })
  } catch (error) {
    // Its controller is not there.
    if (errnoCode(error) !== 'ENOENT' && errnoCode(error) !== 'EACCES') throw error
  }
}

/** @returns whether it is gone */
async function removeEmpty(path: string): Promise<boolean> {
  try {
    await rmdir(path)
    return true
  } catch (error) {
    return errnoCode(error) === 'ENOENT'
  }
}
