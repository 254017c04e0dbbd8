import { readdirSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { errnoCode, problemFromSystem } from '../base/index.ts'
import { type FileLook, fileLook, isSettled, type SeenFile, type SeenFiles } from '../host/index.ts'
import type { DiskFile } from './disk-file.ts'
import { oneAtATime } from './one-at-a-time.ts'

export interface FileFinder {
  /**
   * Every regular file below the directory, by path. Symbolic links are not followed; what vanishes while we look was not there. It is the same
   * value as the last time, and each file the same in it, if nothing can have happened since: what was read of it then is true still.
   *
   * @throws Problem PERMISSION_DENIED, IO_FAILED naming the directory: a figure that leaves something out would be a wrong one
   */
  find(): Promise<ReadonlyMap<string, DiskFile>>
  /** What they were the last time. */
  readonly seen: SeenFiles
}

interface KnownDirectory {
  readonly path: string
  /** As it was before it was read; none if it was written to just then, or has not been read yet. */
  seen: SeenFile | undefined
  directories: readonly KnownDirectory[]
  files: readonly KnownFile[]
}

interface KnownFile {
  readonly path: string
  /** As it was before; none if it was written to just then. */
  readonly seen: SeenFile | undefined
  readonly file: DiskFile
}

/** How long others may have to wait, in milliseconds. */
const turnMs = 4

/** After so many directories it is asked how long it took. */
const directoriesAtOnce = 16

/**
 * Finds the files below a directory, and remembers what it found: a directory that nothing has come into or left is not read again, and of each
 * file that is as it was the same value is handed out. Each file is looked at each time: a write to it shows nowhere else. Looks are made in
 * the open, a few milliseconds of them at a time: a trip to another thread would cost many times what a look does.
 */
export function fileFinder(root: string): FileFinder {
  const walk = openWalk(root)
  const alone = oneAtATime()
  return { find: () => alone(walk.find), seen: (path) => walk.seen(path) }
}

function openWalk(root: string): FileFinder {
  const look = fileLook()
  const top: KnownDirectory = { path: root, seen: undefined, directories: [], files: [] }
  let last: ReadonlyMap<string, DiskFile> = new Map()
  let known = new Map<string, KnownFile>()
  // Stays when a walk fails half way: what it found is in the tree, and not yet in what is handed out.
  let hasChanged = true
  return {
    async find() {
      const waiting = [top]
      let since = performance.now()
      for (let walked = 1; waiting.length > 0; walked++) {
        const directory = waiting.pop() ?? top
        if (refresh(directory, look, directory === top ? `${root}/.` : directory.path)) hasChanged = true
        for (const below of directory.directories) waiting.push(below)
        if (walked % directoriesAtOnce !== 0 || performance.now() - since < turnMs) continue
        await nextTurn()
        since = performance.now()
      }
      if (hasChanged) {
        known = new Map(filesBelow(top).map((file) => [file.path, file]))
        last = new Map([...known].map(([path, { file }]) => [path, file]))
        hasChanged = false
      }
      return last
    },
    seen: (path) => known.get(path)?.seen,
  }
}

/** Looks at a directory and its files. @returns whether anything is another than it was */
function refresh(directory: KnownDirectory, look: FileLook, path: string): boolean {
  const isThere = look.at(path) && look.isDirectory()
  if (isThere && directory.seen !== undefined && look.isAsSeen(directory.seen)) return refreshFiles(directory, look)
  // What it has is read after this look: whatever comes into it or leaves it from now on shows.
  const seen = isThere ? settled(look) : undefined
  const { directories, files } = isThere ? readEntries(directory, look) : nothing
  const isSame = areSame(directories, directory.directories) && areSame(files, directory.files)
  Object.assign(directory, { seen, directories, files })
  return !isSame
}

const nothing: Pick<KnownDirectory, 'directories' | 'files'> = { directories: [], files: [] }

function readEntries(directory: KnownDirectory, look: FileLook): Pick<KnownDirectory, 'directories' | 'files'> {
  const knownDirectories = new Map(directory.directories.map((one) => [one.path, one]))
  const knownFiles = new Map(directory.files.map((one) => [one.path, one]))
  const directories: KnownDirectory[] = []
  const files: KnownFile[] = []
  for (const name of namesIn(directory.path)) {
    const path = `${directory.path}/${name}`
    if (!look.at(path)) continue
    if (look.isDirectory()) {
      directories.push(knownDirectories.get(path) ?? { path, seen: undefined, ...nothing })
    } else if (look.isFile()) files.push(asSeen(path, knownFiles.get(path), look))
  }
  return { directories, files }
}

function refreshFiles(directory: KnownDirectory, look: FileLook): boolean {
  let now: (KnownFile | undefined)[] | undefined
  const { files } = directory
  for (let at = 0; at < files.length; at++) {
    const known = files[at]
    if (known === undefined) continue
    // Something else may have come into its place since its directory was read.
    const isThere = look.at(known.path) && look.isFile()
    const file = isThere ? asSeen(known.path, known, look) : undefined
    if (file === known) continue
    now ??= [...files]
    now[at] = file
  }
  if (now !== undefined) directory.files = now.flatMap((file) => file ?? [])
  return now !== undefined
}

/** A file that is being looked at. */
function asSeen(path: string, known: KnownFile | undefined, look: FileLook): KnownFile {
  return known?.seen !== undefined && look.isAsSeen(known.seen) ? known : knownFile(path, look)
}

function knownFile(path: string, look: FileLook): KnownFile {
  const seen = look.seen()
  return {
    path,
    seen: isSettled(seen.ctimeMs) ? seen : undefined,
    file: {
      path,
      // st_blocks counts 512 bytes whatever st_blksize says: inode(7).
      size: { logical_bytes: seen.size, physical_bytes: seen.blocks * 512 },
      modifiedAt: seen.mtimeMs,
      changedAt: seen.ctimeMs,
      inode: `${seen.dev}:${seen.ino}`,
      links: seen.nlink,
    },
  }
}

function settled(look: FileLook): SeenFile | undefined {
  const seen = look.seen()
  return isSettled(seen.ctimeMs) ? seen : undefined
}

/** Not the host's: what is read again and again is read at once, and what is a directory no more has nothing below it. */
function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch (error) {
    const code = errnoCode(error)
    if (code === 'ENOENT' || code === 'ENOTDIR') return []
    throw problemFromSystem(error, `read ${directory}`)
  }
}

function filesBelow(top: KnownDirectory): KnownFile[] {
  const found: KnownFile[] = []
  const waiting = [top]
  for (let directory = waiting.pop(); directory !== undefined; directory = waiting.pop()) {
    for (const file of directory.files) found.push(file)
    for (const below of directory.directories) waiting.push(below)
  }
  return found
}

function areSame<T>(some: readonly T[], others: readonly T[]): boolean {
  return some.length === others.length && some.every((one, at) => one === others[at])
}
