import { chmod, copyFile, mkdir, open, realpath, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  type DataLayout,
  dataLayout,
  errnoCode,
  formatSize,
  isProblem,
  Problem,
  problemFromSystem,
} from '../../base/index.ts'
import { allocation, filesystemOf, installFile, lockFile, openStaging, runTool } from '../../host/index.ts'
import { holdDataDirectory } from '../hold-data-directory.ts'
import { type BootEntry, writeBootEntry } from './boot-entry.ts'
import { firstData } from './first-data.ts'
import { loopMountAt } from './loop-mount-at.ts'
import { mountOptions } from './mount-options.ts'

export interface SetUpBtrfs {
  readonly dataDirectory: string
  /** How large the filesystem is to be; what is not a multiple of 1 MiB is rounded up to one. */
  readonly bytes: number
  /** What mounts it again when the host boots; nothing when left out. */
  readonly atBoot?: BootEntry | undefined
  /** `/etc` when left out. */
  readonly etc?: string | undefined
}

export interface BtrfsSetUp {
  readonly data_directory: string
  /** The file that the filesystem is in. */
  readonly file: string
  readonly bytes: number
  readonly outcome: 'created' | 'mounted' | 'grown' | 'unchanged'
  /** What was written for the next boot. */
  readonly boot_entry?: string
}

/** Below this btrfs spends most of it on itself. */
const smallest = 256 * 2 ** 20

/**
 * Puts a data directory onto a btrfs of its own, in a sparse file beside it: made, formatted and mounted with zstd:1, or mounted again, or grown,
 * whatever is left to do. So it may be killed at any point and called again.
 *
 * @throws Problem HOST_UNSUPPORTED, PERMISSION_DENIED without root, TOOL_NOT_FOUND, INVALID_REQUEST for a size that cannot be,
 *   DATA_DIRECTORY_IN_USE, DATA_DIRECTORY_NOT_EMPTY, NO_SPACE, TOOL_FAILED
 */
export async function setUpBtrfs({ dataDirectory, bytes, atBoot, etc = '/etc' }: SetUpBtrfs): Promise<BtrfsSetUp> {
  const size = Math.ceil(bytes / 2 ** 20) * 2 ** 20
  await checkHost(size)
  const root = await madeDirectory(dataDirectory)
  const file = `${root}.btrfs`
  const outcome = await reach({ root, file, size })
  // A fresh btrfs has a root that others may look into.
  await chmod(root, 0o700)
  const written = atBoot === undefined ? {} : { boot_entry: await writeBootEntry(atBoot, { root, file, etc }) }
  return { data_directory: root, file, bytes: size, outcome, ...written }
}

async function checkHost(size: number): Promise<void> {
  if (process.platform !== 'linux') throw new Problem('HOST_UNSUPPORTED', 'there is btrfs on Linux alone')
  if (process.geteuid?.() !== 0) {
    throw new Problem('PERMISSION_DENIED', 'only root can make and mount a filesystem', {
      hint: `run: sudo cowshed setup --btrfs ${size / 2 ** 20}MiB`,
    })
  }
  if (size < smallest) {
    throw new Problem('INVALID_REQUEST', `a btrfs of ${formatSize(size)} is too small`, {
      hint: 'choose at least 256MiB; what is not used takes no space',
    })
  }
  for (const tool of ['mkfs.btrfs', 'btrfs', 'mount', 'losetup']) await runTool(tool, ['--version'])
}

async function madeDirectory(path: string): Promise<string> {
  try {
    const made = await mkdir(path, { recursive: true, mode: 0o700 })
    if (made !== undefined) await chmod(path, 0o700)
    return await realpath(path)
  } catch (error) {
    throw problemFromSystem(error, `make the data directory ${path}`)
  }
}

interface Volume {
  readonly root: string
  readonly file: string
  readonly size: number
}

async function reach(volume: Volume): Promise<BtrfsSetUp['outcome']> {
  if ((await loopMountAt(volume.root, volume.file)) !== undefined) return (await grow(volume)) ? 'grown' : 'unchanged'
  const layout = dataLayout(volume.root)
  // Neither a daemon nor another set-up may be at work below what will be mounted.
  using _held = await holdUnused(layout)
  await refuseData(layout)
  const made = !(await exists(volume.file))
  if (made) await makeFilesystem(layout, volume)
  else refuseSmaller(volume, (await stat(volume.file)).size)
  await runTool('mount', ['-t', 'btrfs', '-o', `loop,${mountOptions}`, volume.file, volume.root])
  if (made) return 'created'
  return (await grow(volume)) ? 'grown' : 'mounted'
}

async function holdUnused(layout: DataLayout) {
  try {
    return await holdDataDirectory(layout)
  } catch (error) {
    if (!isProblem(error, 'DATA_DIRECTORY_IN_USE')) throw error
    const { pid } = error.data ?? {}
    throw new Problem(error.code, error.message, {
      hint: `end that daemon first${typeof pid === 'number' ? `: kill ${pid}` : ''}`,
      cause: error,
    })
  }
}

async function refuseData({ root }: DataLayout): Promise<void> {
  const found = await firstData(dataLayout(root))
  if (found === undefined) return
  throw new Problem('DATA_DIRECTORY_NOT_EMPTY', `${root} holds data, which a mount would hide: ${found}`, {
    hint: 'choose another one (--data DIR), or move what is in it away, and back when the filesystem is there',
  })
}

async function exists(file: string): Promise<boolean> {
  try {
    await stat(file)
    return true
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return false
    throw problemFromSystem(error, `look at ${file}`)
  }
}

/** What has its final name is a whole filesystem. */
async function makeFilesystem(layout: DataLayout, { file, size }: Volume): Promise<void> {
  await checkSpace(file, size)
  const half = `${file}.new`
  await using content = await openStaging(layout, 'btrfs')
  try {
    await copyIfThere(layout.config, join(content.path, 'config.toml'))
    await rm(half, { force: true })
    await extend(half, size)
    // With what is to be in it, so that nothing has to be done between the mount and the first daemon.
    await runTool('mkfs.btrfs', ['-q', '-L', 'cowshed', '--rootdir', content.path, half])
    await installFile({ from: half, to: file, mode: 0o600 })
  } catch (error) {
    await rm(half, { force: true })
    throw problemFromSystem(error, `make the filesystem ${file}`)
  }
}

async function copyIfThere(from: string, to: string): Promise<void> {
  try {
    await copyFile(from, to)
  } catch (error) {
    if (errnoCode(error) !== 'ENOENT') throw error
  }
}

/** A sparse file that has not all of its blocks when it needs them turns its filesystem read-only. */
async function checkSpace(file: string, wanted: number): Promise<void> {
  const has = (await exists(file)) ? (await allocation(file)).physicalBytes : 0
  const { freeBytes } = await filesystemOf(dirname(file))
  if (wanted - has <= freeBytes) return
  throw new Problem(
    'NO_SPACE',
    `a file of ${formatSize(wanted)} does not fit beside ${file.slice(0, -'.btrfs'.length)}`,
    {
      hint: `${formatSize(freeBytes + has)} are free for it: choose a smaller size`,
    },
  )
}

async function extend(file: string, size: number): Promise<void> {
  await using handle = await open(file, 'a', 0o600)
  await handle.truncate(size)
  await handle.sync()
}

/**
 * Makes a mounted filesystem as large as `size`. Every step is made again when it is not known to be done: a kill between two of them leaves a
 * filesystem that is smaller than its device, or a device that is smaller than its file, and both work.
 *
 * @returns whether it is larger than before
 */
async function grow({ root, file, size }: Volume): Promise<boolean> {
  // Two at once could cut off what the other one has added.
  using _held = await lockFile(file, { mode: 'exclusive', wait: true })
  const has = (await stat(file)).size
  refuseSmaller({ file, size }, has)
  if (size > has) {
    await checkSpace(file, size)
    await extend(file, size)
  }
  const before = (await filesystemOf(root)).totalBytes
  const device = await loopMountAt(root, file)
  if (device === undefined) throw new Problem('IO_FAILED', `${root} is not mounted any more`)
  await runTool('losetup', ['--set-capacity', device])
  await runTool('btrfs', ['filesystem', 'resize', 'max', root])
  return (await filesystemOf(root)).totalBytes > before
}

function refuseSmaller({ file, size }: Pick<Volume, 'file' | 'size'>, has: number): void {
  if (size >= has) return
  throw new Problem('INVALID_REQUEST', `${file} has ${formatSize(has)} already, and can only grow`, {
    hint: 'choose a larger size; what is not used takes no space',
  })
}
