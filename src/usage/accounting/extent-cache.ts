import { type ExtentSource, type Extents, isSettled } from '../../host/index.ts'
import type { MeasuredFile } from './measured-file.ts'

interface CachedExtents {
  readonly extents: Extents
  readonly logicalBytes: number
  readonly allocatedBytes: number
  readonly changedAt: number
}

/**
 * Extents by (dev, ino, size, blocks, ctime). What has not been written to since is where it was: lowers and the uppers of stopped sheds never change.
 * What xfs held ready past the end of a file it takes back without a sign in its times; the number of blocks shows that. Sharing, defragmenting and
 * balancing move extents and leave all of these as they are; divideSpace finds that out, and what it doubts is forgotten.
 */
export interface ExtentCache {
  get(file: MeasuredFile): Extents | undefined
  /** Reads the extents of files, and keeps those that can be told from those of a later write. */
  read(files: readonly MeasuredFile[], source: ExtentSource): Extents[]
  forget(file: MeasuredFile): void
  /** Forgets all others. @returns whether there were any: what they shared is shared by fewer now */
  retain(files: readonly MeasuredFile[]): boolean
}

export const noExtents: Extents = { starts: new Float64Array(), lengths: new Float64Array(), marks: new Uint8Array() }

export function extentCache(): ExtentCache {
  const known = new Map<string, CachedExtents>()
  return {
    get(file) {
      const cached = known.get(keyOf(file))
      return cached !== undefined && isAsThen(file, cached) ? cached.extents : undefined
    },
    read(files, source) {
      const isKept = files.map(({ changedAt }) => isSettled(changedAt))
      const found = source.extentsOf(files)
      return files.map((file, at) => {
        // A file that is gone has nothing.
        const extents = found[at] ?? noExtents
        const { logicalBytes, allocatedBytes, changedAt } = file
        if (isKept[at] === true) known.set(keyOf(file), { extents, logicalBytes, allocatedBytes, changedAt })
        else known.delete(keyOf(file))
        return extents
      })
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

function isAsThen(file: MeasuredFile, then: CachedExtents): boolean {
  const { logicalBytes, allocatedBytes, changedAt } = then
  return file.logicalBytes === logicalBytes && file.allocatedBytes === allocatedBytes && file.changedAt === changedAt
}

function keyOf({ device, inode }: MeasuredFile): string {
  return `${device}:${inode}`
}
