/** The physical extents of one file: what is at the same place in each array belongs together. A part that is referred to twice is there twice. */
export interface Extents {
  /** Addresses in bytes, on whatever the filesystem takes for its disk. */
  readonly starts: Float64Array
  /** Bytes on disk. */
  readonly lengths: Float64Array
  readonly marks: Uint8Array
}

/** Bits of a mark. */
export const mark = {
  /** The filesystem says that it is referred to from elsewhere too. */
  shared: 1,
  /** Compressed or encrypted: its length is that of its content, and what it takes on disk is not known. */
  encoded: 2,
} as const

/** A file to look at, as lstat(2) showed it. */
export interface ExtentFile {
  readonly path: string
  /** st_ino. */
  readonly inode: number
  /** st_blocks × 512. */
  readonly allocatedBytes: number
  /**
   * Not to be opened, because this process has POSIX locks on it, which any close(2) of it would drop (SQLite's do). Where its extents cannot be
   * found without, it is taken to have what it has alone.
   */
  readonly locked?: boolean
}

/**
 * - `exact`: addresses and lengths are what the filesystem would free.
 * - `block`: only how much each file has; on this filesystem no two files share anything.
 * - `bounds`: addresses are true, but an extent is freed as a whole, and how long the whole is cannot be seen.
 * - `estimate`: only how much each file has, and files may share some of it.
 */
export type Accuracy = 'exact' | 'block' | 'bounds' | 'estimate'

/** Which physical extents files have: one filesystem, in one way of asking it. */
export interface ExtentSource extends Disposable {
  readonly accuracy: Accuracy
  /** What has been written to any file so far is looked at too. Comes before the first question; may take as long as writing it takes. */
  settle(): void
  /**
   * @param files each once
   * @returns of each; undefined for one that is gone
   * @throws a system error
   */
  extentsOf(files: readonly ExtentFile[]): (Extents | undefined)[]
  /**
   * Where an extent is freed as a whole, when nothing refers to any part of it any more: how often anything on the filesystem refers to the
   * extents that begin at these addresses, ascending; 0 for what is not there any more. Elsewhere single blocks are freed, and there is no such
   * question.
   */
  readonly references?: (addresses: Float64Array) => Float64Array
  /**
   * Where single blocks are freed and the filesystem can tell whose each is: what others than these files, by st_ino, have of all that is marked as
   * shared in their extents.
   */
  readonly outsiders?: (extents: readonly Extents[], inodes: ReadonlySet<number>) => Extents
  /** Whether a file that is not known is overlooked where two that are share with it. */
  readonly overlooks?: boolean
  /** Where a file can have more than its extents: what is held ready for writes to blocks that it shares, as near as can be known. */
  readonly reservedBytes?: (file: ExtentFile, extents: Extents) => number
}

/** Collects extents. */
export function extentList() {
  const starts: number[] = []
  const lengths: number[] = []
  const marks: number[] = []
  return {
    add(start: number, length: number, bits = 0): void {
      starts.push(start)
      lengths.push(length)
      marks.push(bits)
    },
    done: (): Extents => ({
      starts: new Float64Array(starts),
      lengths: new Float64Array(lengths),
      marks: new Uint8Array(marks),
    }),
  }
}
