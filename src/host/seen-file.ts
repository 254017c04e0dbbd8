import type { Stats } from 'node:fs'

/** What lstat(2) showed of a file. */
export type SeenFile = Pick<Stats, 'dev' | 'ino' | 'size' | 'blocks' | 'nlink' | 'mtimeMs' | 'ctimeMs'>

/** What files were when they were looked at, by path; undefined for one that was not, or that may have changed right after. */
export type SeenFiles = (path: string) => SeenFile | undefined

/** Clocks of files tick coarsely: a change this soon after another may leave the same time. */
const tickMs = 100

/** Whether anything that happens to a file from now on will show in its times. @param changedAt its st_ctime, milliseconds since the epoch */
export function isSettled(changedAt: number): boolean {
  return changedAt < Date.now() - tickMs
}

/** Whether a file that was settled when it was looked at has been left alone since. */
export function isAsSeen(now: SeenFile, then: SeenFile): boolean {
  return (
    now.ino === then.ino &&
    now.ctimeMs === then.ctimeMs &&
    now.mtimeMs === then.mtimeMs &&
    now.size === then.size &&
    now.blocks === then.blocks &&
    now.nlink === then.nlink &&
    now.dev === then.dev
  )
}
