import { constants } from 'node:fs'
import { copyFile, type FileHandle, open, rm, stat } from 'node:fs/promises'
import { errnoCode, Problem, problemFromSystem } from '../base/index.ts'
import { type CopyStrategy, copyData } from './copy-data.ts'

/** `clonefile` on APFS, `ficlone` on Linux: extents are shared. The others copy the data, and leave holes out. */
export type CloneStrategy = Reflink | CopyStrategy
type Reflink = 'clonefile' | 'ficlone'

export interface Cloned {
  readonly strategy: CloneStrategy
  /** Apparent size of the file, in bytes; holes count. */
  readonly logicalBytes: number
}

/** Cheapest first: the first one that this filesystem can do is the one that is used. */
const strategies: readonly CloneStrategy[] =
  process.platform === 'darwin' ? ['clonefile', 'io_copy'] : ['ficlone', 'copy_file_range', 'io_copy']

/**
 * Makes `dst` an independent file with the content and the mode of `src`, sharing extents where the filesystem can, and sparse wherever
 * `src` is. It is not durable yet, and a crash may leave a part of it: `dst` belongs where nobody looks before installFile or
 * installDirectory have made it visible.
 *
 * `dst` must not exist. On failure there is no `dst` that was not there before.
 *
 * @throws Problem FILE_NOT_FOUND, FILE_EXISTS, NO_SPACE, PERMISSION_DENIED, IO_FAILED
 * @see ioctl_ficlone(2), copy_file_range(2)
 */
export async function cloneFile(src: string, dst: string): Promise<Cloned> {
  try {
    for (const strategy of strategies) {
      const cloned = isReflink(strategy) ? await reflink(src, dst) : await copy(src, dst, strategy)
      if (cloned) return { strategy, logicalBytes: (await stat(dst)).size }
    }
  } catch (error) {
    throw problemFromSystem(error, `clone ${src} to ${dst}`)
  }
  throw new Problem('IO_FAILED', `no way to copy ${src} to ${dst}`, { hint: 'run: cowshed doctor' })
}

/**
 * The same, only where that shares extents and so takes no time to speak of.
 *
 * @returns undefined when these files cannot; there is no `dst` then
 * @throws Problem FILE_NOT_FOUND, FILE_EXISTS, NO_SPACE, PERMISSION_DENIED, IO_FAILED
 */
export async function reflinkFile(src: string, dst: string): Promise<Cloned | undefined> {
  try {
    const [strategy] = strategies
    if (strategy === undefined || !(await reflink(src, dst))) return undefined
    return { strategy, logicalBytes: (await stat(dst)).size }
  } catch (error) {
    throw problemFromSystem(error, `clone ${src} to ${dst}`)
  }
}

function isReflink(strategy: CloneStrategy): strategy is Reflink {
  return strategy === 'clonefile' || strategy === 'ficlone'
}

/** False when these files cannot share extents; there is no `dst` then. */
async function reflink(src: string, dst: string): Promise<boolean> {
  try {
    // _FORCE: without it Node copies where it cannot clone, and a copy by Node has no holes. On macOS this is clonefile(2).
    await copyFile(src, dst, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL)
    return true
  } catch (error) {
    if (cannotClone.has(errnoCode(error) ?? '')) return false
    throw error
  }
}

/** EINVAL: a file without copy-on-write on btrfs; ENOTTY: a filesystem that has never heard of it. */
const cannotClone = new Set(['ENOTSUP', 'EOPNOTSUPP', 'EXDEV', 'EINVAL', 'ENOSYS', 'ENOTTY', 'ETXTBSY'])

async function copy(src: string, dst: string, strategy: CopyStrategy): Promise<boolean> {
  await using from = await open(src, 'r')
  const { size, mode } = await from.stat()
  return await withNewFile(dst, async (to) => {
    await to.chmod(mode & 0o7777)
    const range = { from: from.fd, fromOffset: 0, to: to.fd, toOffset: 0, length: size }
    const done = await copyData(range, strategy)
    if (done) await to.truncate(size)
    return done
  })
}

/**
 * Makes a file (mode 0600) that must not be there yet, and takes it away again when `fill` throws or says false.
 *
 * @throws what `fill` throws; a system error, EEXIST for one
 */
export async function withNewFile(path: string, fill: (file: FileHandle) => Promise<boolean>): Promise<boolean> {
  let filled = false
  await using file = await open(path, 'wx', 0o600)
  try {
    filled = await fill(file)
    return filled
  } finally {
    if (!filled) await rm(path, { force: true })
  }
}
