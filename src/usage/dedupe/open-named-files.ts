import { closeSync, constants, fstatSync, openSync } from 'node:fs'
import { errnoCode } from '../../base/index.ts'
import type { DedupeFile } from './dedupe-job.ts'

export interface NamedFiles extends Disposable {
  /** An open file, by its number; undefined when it has no name any more, or its name is another's: what it has is gone with it. */
  file(number: number): number | undefined
}

/** Open at once, at most. */
const openAtMost = 32

/** Files that are opened when they are needed, for reading: to share blocks no more is needed by who owns them. */
export function openNamedFiles(files: readonly DedupeFile[]): NamedFiles {
  const open = new Map<number, number>()
  const closeOldest = () => {
    const [oldest] = open
    if (oldest === undefined) return
    closeSync(oldest[1])
    open.delete(oldest[0])
  }
  return {
    file(number) {
      const fd = open.get(number) ?? openUnlessGone(files[number]?.path ?? '')
      if (fd === undefined) return undefined
      // The last one to be asked for is the last one to be closed.
      open.delete(number)
      open.set(number, fd)
      if (open.size > openAtMost) closeOldest()
      const { nlink, ino } = fstatSync(fd)
      return nlink > 0 && ino === files[number]?.inode ? fd : undefined
    },
    [Symbol.dispose]() {
      while (open.size > 0) closeOldest()
    },
  }
}

/** undefined when it is gone. @throws a system error */
export function openUnlessGone(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDONLY)
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return undefined
    throw error
  }
}
