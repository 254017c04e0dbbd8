import type { Size } from '../contract/index.ts'

/** One file of the data directory, as it was when the inventory was taken. */
export interface DiskFile {
  readonly path: string
  readonly size: Size
  /** Milliseconds since the epoch. */
  readonly modifiedAt: number
  /** The same of the last change of anything about it, its time of modification included: st_ctime. */
  readonly changedAt: number
  /** What two names of one file have in common. */
  readonly inode: string
  /** How many names the file has, wherever they are. */
  readonly links: number
}

/** Each name once, in the order of first sight. */
export function unique(files: readonly DiskFile[]): DiskFile[] {
  return [...new Map(files.map((file) => [file.path, file])).values()]
}

/** Each file once, whatever number of names it has among these. */
export function distinct(files: readonly DiskFile[]): DiskFile[] {
  const seen = new Set<string>()
  return files.filter(({ inode }) => {
    if (seen.has(inode)) return false
    seen.add(inode)
    return true
  })
}

/** What files take, each counted once. */
export function sumSizes(files: readonly DiskFile[]): Size {
  return addUp(distinct(files))
}

/** What removing these names would free: a file that has another name somewhere stays. */
export function freedSize(files: readonly DiskFile[]): Size {
  const names = new Map<string, number>()
  for (const { inode } of unique(files)) names.set(inode, (names.get(inode) ?? 0) + 1)
  return addUp(distinct(files).filter(({ inode, links }) => (names.get(inode) ?? 0) >= links))
}

function addUp(files: readonly DiskFile[]): Size {
  let [logical, physical] = [0, 0]
  for (const { size } of files) {
    logical += size.logical_bytes
    physical += size.physical_bytes
  }
  return { logical_bytes: logical, physical_bytes: physical }
}
