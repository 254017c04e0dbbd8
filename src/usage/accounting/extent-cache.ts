import type { ExtentSource, Extents } from '../../host/index.ts'
import type { MeasuredFile } from './measured-file.ts'

interface CachedExtents {
  readonly extents: Extents
  readonly logicalBytes: number
  readonly changedAt: number
}

/**
 * Extents by (dev, ino, size, ctime). What has not been written to since is where it was: lowers and the uppers of stopped sheds never change.
 * Sharing, defragmenting and balancing move extents and leave the times as they are; divideSpace finds that out, and what it doubts is forgotten.
 */
export interface ExtentCache {
  get(file: MeasuredFile): Extents | undefined
  /** Reads a file's extents, and keeps them if they can be told from those of a later write. */
  read(file: MeasuredFile, source: ExtentSource): Extents
  forget(file: MeasuredFile): void
  /** Forgets all others. @returns whether there were any: what they shared is shared by fewer now */
  retain(files: readonly MeasuredFile[]): boolean
}

/** Clocks of files tick coarsely: a write this soon after another may leave the same time. */
const tickMs = 100

const nothing: Extents = { starts: new Float64Array(), lengths: new Float64Array(), marks: new Uint8Array() }

export function extentCache(): ExtentCache {
  const known = new Map<string, CachedExtents>()
  return {
    get(file) {
      const cached = known.get(keyOf(file))
      const isSame = cached?.logicalBytes === file.logicalBytes && cached.changedAt === file.changedAt
      return isSame ? cached.extents : undefined
    },
    read(file, source) {
      const isSettled = file.changedAt < Date.now() - tickMs
      // A file that is gone has nothing.
      const extents = source.extentsOf(file) ?? nothing
      const { logicalBytes, changedAt } = file
      if (isSettled) known.set(keyOf(file), { extents, logicalBytes, changedAt })
      else known.delete(keyOf(file))
      return extents
    },
    forget: (file) => void known.delete(keyOf(file)),
    retain(files) {
      const keys = new Set(files.map(keyOf))
      const before = known.size
      for (const key of known.keys()) if (!keys.has(key)) known.delete(key)
      return known.size < before
    },
  }
}

function keyOf({ device, inode }: MeasuredFile): string {
  return `${device}:${inode}`
}
