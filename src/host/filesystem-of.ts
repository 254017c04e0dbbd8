import { constants } from 'node:fs'
import { copyFile, mkdtemp, readdir, rm, stat, statfs, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { errnoCode, problemFromSystem } from '../base/index.ts'

export interface Filesystem {
  readonly type: 'ext4' | 'xfs' | 'btrfs' | 'tmpfs' | 'other'
  /** Whether files on it can share extents: found out by doing it. Where that is not possible (read-only, full): what its type can do. */
  readonly reflink: boolean
  /** Bytes that this user can still write. */
  readonly freeBytes: number
  readonly totalBytes: number
}

/** linux/magic.h; ext2 and ext3 have the magic of ext4, and its driver. */
export const filesystemTypes: Readonly<Record<number, Filesystem['type']>> = {
  61267: 'ext4',
  1481003842: 'xfs',
  2435016766: 'btrfs',
  16914836: 'tmpfs',
}

const probes = new Map<string, Promise<boolean | undefined>>()

/**
 * What kind of filesystem a file or directory is on. Whether it can share extents is tried with a file of 4 KiB, once per filesystem.
 *
 * @throws Problem FILE_NOT_FOUND, PERMISSION_DENIED, IO_FAILED
 */
export async function filesystemOf(path: string): Promise<Filesystem> {
  try {
    const [stats, { dev, mode }] = await Promise.all([statfs(path), stat(path)])
    const type = filesystemTypes[stats.type] ?? 'other'
    const directory = (mode & constants.S_IFMT) === constants.S_IFDIR ? path : dirname(path)
    const totalBytes = stats.bsize * stats.blocks
    return {
      type,
      // Device numbers are used again: another filesystem may be mounted under this one later.
      reflink: (await probeOnce(`${dev} ${stats.type} ${totalBytes}`, directory)) ?? type === 'btrfs',
      freeBytes: stats.bsize * stats.bavail,
      totalBytes,
    }
  } catch (error) {
    throw problemFromSystem(error, `look at the filesystem of ${path}`)
  }
}

/** undefined when it could not be tried. */
function probeOnce(key: string, directory: string): Promise<boolean | undefined> {
  const known = probes.get(key)
  if (known !== undefined) return known
  const probe = probeReflink(directory)
  probes.set(key, probe)
  void probe.then((verdict) => verdict ?? probes.delete(key))
  return probe
}

const scratchPrefix = '.cowshed-probe-'

/**
 * Removes what is left in a directory of whoever was killed while he tried there whether extents can be shared. For the holder of that directory, before he asks.
 *
 * @throws Problem PERMISSION_DENIED, IO_FAILED
 */
export async function sweepProbes(directory: string): Promise<void> {
  try {
    const left = (await readdir(directory)).filter((name) => name.startsWith(scratchPrefix))
    for (const name of left) await rm(join(directory, name), { recursive: true, force: true })
  } catch (error) {
    throw problemFromSystem(error, `sweep ${directory}`)
  }
}

async function probeReflink(directory: string): Promise<boolean | undefined> {
  const scratch = await mkdtemp(join(directory, scratchPrefix)).catch(() => undefined)
  if (scratch === undefined) return undefined
  try {
    await writeFile(join(scratch, 'a'), Buffer.alloc(4096, 1))
    await copyFile(join(scratch, 'a'), join(scratch, 'b'), constants.COPYFILE_FICLONE_FORCE)
    return true
  } catch (error) {
    // A full disk says nothing about what it could do.
    return errnoCode(error) === 'ENOSPC' ? undefined : false
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}
