import { constants } from 'node:fs'
import { copyFile, mkdtemp, readdir, rm, stat, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type FilesystemType, mountFresh } from '../../test/support/mount-filesystem.ts'
import { isOnPath } from '../../test/support/needs.ts'
import { type BenchDaemon, image, startBenchDaemon } from './bench-daemon.ts'
import { runCommand } from './run-command.ts'

/** Where sheds are made: filesystems of their own, and the disk of this host. */
export const places = ['btrfs', 'xfs', 'ext4', 'this host'] as const
export type Place = (typeof places)[number]

export interface OpenedPlace {
  /** By how much create may take longer than cp: where cp copies, it has far less to copy. */
  readonly goal: number
  /** @returns milliseconds of each */
  makeSheds(count: number): Promise<number[]>
  /** Copies the base. @returns milliseconds */
  copy(how: 'as it is' | 'synced'): Promise<number>
  /** Makes so many sheds. @returns by how many bytes each has made the filesystem fuller */
  bytesPerShed(count: number): Promise<number>
}

/** Sparse: what is not written to it costs nothing. */
const filesystemBytes = 6 * 2 ** 30

/**
 * On disks that turn, btrfs lets each fsync wait a tick for those of other threads. A loop device passes for one when the disk below it does,
 * as virtual disks do by default; btrfs sets this option by itself on disks that do not turn.
 *
 * @see Linux, fs/btrfs/tree-log.c, btrfs_sync_log()
 */
const mountOptions: Partial<Record<FilesystemType, readonly string[]>> = { btrfs: ['ssd'] }

export function placeIsThere(place: Place): boolean {
  return place === 'this host' || isOnPath(`mkfs.${place}`)
}

/** @param base what is copied */
export async function withPlace<T>(place: Place, base: string, use: (opened: OpenedPlace) => Promise<T>): Promise<T> {
  await using filesystem =
    place === 'this host' ? await directoryHere() : await mountFresh(place, filesystemBytes, mountOptions[place])
  const { directory } = filesystem
  await using daemon = await startBenchDaemon({ data: join(directory, 'd'), kernel: 'without kernel' })
  const paths = { base: join(directory, 'base'), copy: join(directory, 'copy') }
  await runCommand('cp', ['--sparse=always', base, paths.base])
  const makeSheds = shedMaker(daemon)
  return await use({
    makeSheds,
    goal: (await sharesExtents(paths)) ? 1 : 0.1,
    copy: (how) => copy(paths, how),
    bytesPerShed: async (count) => {
      // Others write to this host's disk too.
      if (place === 'this host') return await allocatedBytes(daemon)
      const before = await usedBytes(directory)
      await makeSheds(count)
      return ((await usedBytes(directory)) - before) / count
    },
  })
}

async function directoryHere() {
  const directory = await mkdtemp(join(tmpdir(), 'cowshed-bench-'))
  return { directory, [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }) }
}

function shedMaker(daemon: BenchDaemon): OpenedPlace['makeSheds'] {
  let made = 0
  return async (count) => {
    const times: number[] = []
    for (let i = 0; i < count; i++) {
      const start = performance.now()
      await daemon.call('POST', '/api/sheds', { name: `shed-${++made}`, image, start: false })
      times.push(performance.now() - start)
    }
    return times
  }
}

interface Paths {
  readonly base: string
  readonly copy: string
}

async function copy({ base, copy }: Paths, how: 'as it is' | 'synced'): Promise<number> {
  try {
    const { ms } = await runCommand('cp', ['--reflink=auto', '--sparse=always', base, copy])
    return how === 'synced' ? ms + (await runCommand('sync', [copy])).ms : ms
  } finally {
    await rm(copy, { force: true })
  }
}

async function sharesExtents({ base, copy }: Paths): Promise<boolean> {
  try {
    await copyFile(base, copy, constants.COPYFILE_FICLONE_FORCE)
    return true
  } catch {
    return false
  } finally {
    await rm(copy, { force: true })
  }
}

async function usedBytes(directory: string): Promise<number> {
  await runCommand('sync', ['--file-system', directory])
  const { bsize, blocks, bfree } = await statfs(directory)
  return bsize * (blocks - bfree)
}

/** Of a shed: its directory and the files in it. */
async function allocatedBytes({ layout }: BenchDaemon): Promise<number> {
  const { dir } = layout.shed('shed-1')
  const paths = [dir, ...(await readdir(dir)).map((name) => join(dir, name))]
  const blocks = await Promise.all(paths.map(async (path) => (await stat(path)).blocks))
  return blocks.reduce((sum, count) => sum + count * 512, 0)
}
